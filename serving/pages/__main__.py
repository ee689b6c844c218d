"""The process of the dashboard: ``python -m serving.pages``, on loopback until SIGTERM."""

import uvicorn

from lake.settings import settings
from serving.pages.app import build_dashboard
from serving.pages.launch import LOOPBACK
from serving.processes import end_with_parent

DRAIN_SECONDS = 1


def main() -> None:
    """Serve the dashboard of the environment's settings; it ends with the process that started it."""
    end_with_parent(grace_seconds=DRAIN_SECONDS + 1.0)
    configured = settings()
    uvicorn.run(
        build_dashboard(configured),
        host=LOOPBACK,
        port=configured.dashboard_port,
        log_level=configured.log_level,
        access_log=False,
        proxy_headers=False,  # who asks is who is connected: attempts to log in are counted by address
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


if __name__ == "__main__":
    main()
