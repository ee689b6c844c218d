"""Runs the dashboard until Ctrl-C, alone or beside the endpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster_project.servers.processes import heed_signals
from dagster_project.servers.server import running_server, until_interrupt
from lake.errors import ConfigError
from serving.pages import dashboard_address, dashboard_command, login_link

if TYPE_CHECKING:
    import subprocess

    from rich.console import Console

    from lake.settings import Settings

READY_PATH = "/login"


@contextmanager
def running_dashboard(settings: "Settings") -> Iterator["subprocess.Popen[bytes]"]:
    """Run the dashboard while the block lasts, from when it answers on."""
    from serving.supervision import serve_environment

    with running_server(
        "dashboard",
        dashboard_command(),
        serve_environment(settings),
        settings,
        settings.dashboard_port,
        READY_PATH,
        dashboard_address(settings),
    ) as (_, process):
        yield process


def show_dashboard(settings: "Settings", console: "Console") -> None:
    """Show the dashboard until Ctrl-C; what only the endpoint knows is missing from it until that runs too.

    Raises
    ------
    ConfigError
        If it is mounted in the endpoint, which serves it.
    """
    if settings.dashboard == "mounted":
        raise ConfigError(
            "QUANTLAKE_DASHBOARD=mounted has the endpoint serve the dashboard: `quantlake serve` runs both. Set "
            "QUANTLAKE_DASHBOARD=own to run the dashboard alone."
        )
    heed_signals()
    console.print("Starting the dashboard ...")
    with running_dashboard(settings) as process:
        print_link(settings, console)
        until_interrupt(console, process)


def print_link(settings: "Settings", console: "Console") -> None:
    """Print a link that logs one browser in."""
    console.print(f"The dashboard is at [bold]{dashboard_address(settings)}[/bold]. This link logs one browser in:\n")
    console.print(f"  {login_link(settings)}\n", highlight=False, markup=False)
    console.print("It can be used once, within a minute; after that log in with a key, or ask for another link with")
    console.print("`quantlake dashboard --link`.", highlight=False)
