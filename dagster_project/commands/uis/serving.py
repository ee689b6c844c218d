"""An ASGI application of a web UI, served on loopback behind the gate."""

import signal
import sys
from typing import TYPE_CHECKING

from dagster_project.commands.uis.credentials import api_key, key_file, take_link_secret
from dagster_project.commands.uis.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from lake.settings import Settings

LOOPBACK = "127.0.0.1"
DRAIN_SECONDS = 1


def serve(app: "ASGIApp", settings: "Settings", port: int, secret: str) -> None:
    """Serve an application behind the gate until SIGTERM or SIGINT.

    Parameters
    ----------
    secret
        Of the link that the terminal shows.
    """
    import uvicorn

    where = (
        "Open the link that the terminal shows, once for a start, or send 'Authorization: Bearer KEY' with the key of "
        f"{key_file(settings)}."
    )
    gate = Gate(app, port=port, link_token=secret, api_key=api_key(settings), where=where)
    uvicorn.run(
        gate,
        host=LOOPBACK,
        port=port,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def run(main: "Callable[[Settings, int, str], None]") -> None:
    """Run the process of a UI: its end follows that of the verb, and SIGTERM unwinds it.

    Parameters
    ----------
    main
        Takes the settings, the port (the only argument of the process) and the secret of the link.
    """
    from lake.settings import settings
    from serving.processes import end_with_parent

    secret = take_link_secret()
    end_with_parent(grace_seconds=DRAIN_SECONDS + 1.0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that contexts end what they started
    main(settings(), int(sys.argv[1]), secret)
