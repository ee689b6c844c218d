"""The web UIs Dagster, MLflow and Jupyter, each run until Ctrl-C."""

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.servers.processes import child, heed_signals
from dagster_project.servers.server import LOOPBACK, running_server, until_interrupt
from dagster_project.servers.uis.credentials import VARIABLE, api_key, key_file, link_secret
from dagster_project.servers.uis.kernel import write_spec
from serving.processes import socket_folder

if TYPE_CHECKING:
    from rich.console import Console

    from lake.settings import Settings

ROOT = Path(__file__).parents[2]
TIED = (sys.executable, "-m", "dagster_project.servers.uis.child_module")


def show_dagster(settings: "Settings", console: "Console") -> None:
    """Show the Dagster UI until Ctrl-C, with the daemon that runs schedules, sensors and backfills."""
    from dagster_project.runs import WORKSPACE, prepare_home
    from feature_repo.online.redis_server import running_redis

    heed_signals()
    console.print("Starting the Dagster UI ...")
    # Code servers make their unix sockets in TMPDIR, where nobody else may reach them: they run what they are told.
    home = prepare_home(settings) | {"TMPDIR": str(socket_folder(settings))}
    secret, port = _secret(settings), settings.ui_port
    served = [sys.executable, "-m", "dagster_project.servers.uis.dagster_ui", str(port)]
    daemon = [*TIED, "dagster._daemon", "run", "-w", str(WORKSPACE)]
    with (
        running_redis(settings),
        running_server("ui", served, home | {VARIABLE: secret}, settings, port, "/server_info") as (address, process),
        child(daemon, home, settings.home / "logs" / "daemon.log") as beside,
    ):
        _print_link(console, "The Dagster UI", address, secret, settings)
        until_interrupt(console, process, beside)


def show_mlflow(settings: "Settings", console: "Console") -> None:
    """Show MLflow's tracking UI until Ctrl-C; the link leads to the runs of the trainings."""
    from training.tracking import TRACKED, runs_page

    heed_signals()
    console.print("Starting MLflow ...")
    secret, port = _secret(settings), settings.mlflow_port
    command = [sys.executable, "-m", "dagster_project.servers.uis.mlflow_ui", str(port)]
    environment = {"QUANTLAKE_HOME": str(settings.home), VARIABLE: secret}
    with running_server("mlflow", command, environment, settings, port, "/health") as (
        address,
        process,
    ):
        _print_link(console, "MLflow", address, secret, settings, page=f"#{runs_page(settings, TRACKED)}")
        until_interrupt(console, process)


def show_jupyter(settings: "Settings", console: "Console") -> None:
    """Open Jupyter on the notebooks until Ctrl-C."""
    heed_signals()
    console.print("Starting Jupyter ...")
    command = [*TIED, "jupyterlab", "--no-browser", f"--ip={LOOPBACK}", f"--port={settings.lab_port}", "--allow-root"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={ROOT / 'notebooks'}"]
    # Other hosts are refused, and kernels are asked over unix sockets: whoever reaches a kernel's port runs code.
    command += ["--ServerApp.allow_remote_access=False", "--KernelManager.transport=ipc"]
    write_spec(specs := settings.home / "run" / "jupyter")
    token = secrets.token_urlsafe(24)
    home = {
        "QUANTLAKE_HOME": str(settings.home),
        "JUPYTER_TOKEN": token,  # in the environment: arguments are visible to every user
        "JUPYTER_RUNTIME_DIR": str(socket_folder(settings)),
        "JUPYTER_PATH": str(specs),
    }
    with running_server("jupyter", command, home, settings, settings.lab_port, "/lab") as (address, process):
        console.print(f"Jupyter is at [bold]{address}/lab?token={token}[/bold].")
        until_interrupt(console, process)


def _secret(settings: "Settings") -> str:
    """A new secret for the link; the key for programs is made beside it, or refused, before anything starts."""
    api_key(settings)
    return link_secret()


def _print_link(console: "Console", name: str, address: str, secret: str, settings: "Settings", page: str = "") -> None:
    console.print(f"{name} is at [bold]{address}/?token={secret}{page}[/bold]. The link logs one browser in, once.")
    console.print(f"Programs of yours send 'Authorization: Bearer KEY' with the key in {key_file(settings)}.")
