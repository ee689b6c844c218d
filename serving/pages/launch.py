"""Command and address of the dashboard's process, and the link that logs a browser in."""

import sys
from typing import TYPE_CHECKING

from serving.access import local_address
from serving.pages.login.codes import issue_code

if TYPE_CHECKING:
    from lake.settings import Settings

LOOPBACK = "127.0.0.1"
MOUNTED_ROOT = "/app"
"""Path of the endpoint that the dashboard is served below where it is mounted."""


def dashboard_command() -> list[str]:
    """Return the command that serves the dashboard of the environment's settings until SIGTERM."""
    return [sys.executable, "-m", "serving.pages"]


def dashboard_address(settings: "Settings") -> str:
    """Return where the dashboard is served: at a port of its own, or below a path of the endpoint."""
    if settings.dashboard == "mounted":
        return f"{local_address(settings)}{MOUNTED_ROOT}"
    return f"http://{LOOPBACK}:{settings.dashboard_port}"


def login_link(settings: "Settings") -> str:
    """Return a link that logs one browser in as the home's own key, once and within a minute."""
    return f"{dashboard_address(settings)}/login?code={issue_code(settings)}"
