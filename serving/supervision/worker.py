"""Worker: the BentoML service on an inherited socket, until SIGTERM or the end of its supervisor.

Started by the supervisor as ``python -m serving.supervision.worker SOCKET``. It listens once it can forecast, so no
connection waits for its start.
"""

import socket
import sys

from serving.processes import end_with_parent

BACKLOG = 2_048
IDLE_SECONDS, DRAIN_SECONDS = 75, 10
"""How long an idle connection is kept open, and how long a stop waits for requests under way."""


def main() -> None:
    """Serve until the process is asked to end; requests under way are answered first."""
    end_with_parent()
    inherited = socket.socket(fileno=int(sys.argv[1]))
    import uvicorn

    from lake.settings import settings
    from serving.service import ForecastService

    configured = settings()
    config = uvicorn.Config(
        ForecastService.to_asgi(is_main=True),  # type: ignore[attr-defined]  # the decorator made a service of the class
        backlog=BACKLOG,
        log_config=None,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        ssl_certfile=configured.tls_certificate,
        ssl_keyfile=configured.tls_key,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[inherited])
    if not server.started:
        sys.exit("The worker could not start; what it met is above.")


if __name__ == "__main__":
    main()
