"""Servers that run until Ctrl-C: the forecast endpoint and the web UIs, each a child process of a command.

`serve` and `forecast_service` run the endpoint, `show_dashboard` the dashboard, `show_dagster`, `show_mlflow` and
`show_jupyter` the web UIs behind a login (`uis`). `running_server` is what they share. `listeners` declares every
socket that any of them opens.
"""

from dagster_project.servers.dashboard import print_link, running_dashboard, show_dashboard
from dagster_project.servers.endpoint import forecast_service, serve
from dagster_project.servers.processes import child, executable
from dagster_project.servers.server import LOOPBACK, free_port, running_server
from dagster_project.servers.web_uis import show_dagster, show_jupyter, show_mlflow

__all__ = [
    "LOOPBACK",
    "child",
    "executable",
    "forecast_service",
    "free_port",
    "listeners",
    "print_link",
    "running_dashboard",
    "running_server",
    "serve",
    "show_dagster",
    "show_dashboard",
    "show_jupyter",
    "show_mlflow",
]
