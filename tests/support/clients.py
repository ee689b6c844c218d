"""Clients for tests: the headers that show a home's local key, test clients that send them, and a listening server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from serving.access import local_key
from support.waiting import until

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.testclient import TestClient
    from starlette.types import ASGIApp

    from lake.settings import Settings

START_SECONDS = 120.0

LOCAL = "http://127.0.0.1"
"""Address under which tests ask an application in their own process: it refuses names that are not its own."""


def headers_of(settings: "Settings") -> dict[str, str]:
    """Headers that show the local key of a home, which is made if need be."""
    return {"authorization": f"Bearer {local_key(settings)}"}


def token_of(settings: "Settings") -> str:
    """Return a token in the place of the local key of a home."""
    from serving.access.checks import Access

    access = Access(settings)
    caller = access.find(local_key(settings))
    assert caller is not None
    return access.issue(caller)


def client_of(app: "FastAPI", settings: "Settings | None" = None) -> "TestClient":
    """Return a client of an application in this process that shows the local key of its home.

    Parameters
    ----------
    settings
        Home whose keys count; by default that of the predictor in service.
    """
    from starlette.testclient import TestClient

    from serving.access.checks import Access

    home = settings or app.state.predictor.logged.configured
    if settings is not None:
        app.state.access = Access(settings)
    return TestClient(app, LOCAL, raise_server_exceptions=False, headers=headers_of(home))


@contextmanager
def listening(
    app: "ASGIApp", protocol: Any, *, port: int = 0, send_bytes: int = 0, **options: Any
) -> Iterator[tuple[str, int]]:
    """Serve an application by uvicorn with an HTTP protocol class, in a thread; gives host and port.

    Parameters
    ----------
    protocol
        Class, or the name of one that uvicorn knows.
    port
        By default one that the system chooses.
    send_bytes
        How many the system keeps for who does not read them; by default as many as it likes.
    options
        Further options of `uvicorn.Config`.
    """
    import uvicorn

    with socket.create_server(("127.0.0.1", port)) as listener:
        if send_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_bytes)  # connections inherit it
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", http=protocol, **options))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started, "the server did not start", START_SECONDS)
        yield listener.getsockname()
        server.should_exit = True
        thread.join()
