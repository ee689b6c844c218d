"""The verbs that keep something running until Ctrl-C: the endpoint, the Dagster UI, MLflow, Jupyter."""

import json
import secrets
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from dagster_project.home import prepare_home
from dagster_project.processes import child, executable, heed_signals, wait_for_interrupt, wait_until_up
from lake.errors import ConfigError

if TYPE_CHECKING:
    import subprocess

    from rich.console import Console

    from lake.settings import Settings

ROOT = Path(__file__).parent.parent
UI_PORT, MLFLOW_PORT, LAB_PORT = 3001, 5000, 8888
LOOPBACK = "127.0.0.1"
READY_SECONDS = 10


@contextmanager
def forecast_service(settings: "Settings") -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run the BentoML service while the block lasts; gives its address and process. Redis must be up already."""
    from serving.launch import serve_command, serve_environment

    with _server(
        "endpoint", serve_command(settings), serve_environment(settings), settings, settings.port, "/readyz"
    ) as running:
        yield running


def serve(settings: "Settings", console: "Console") -> None:
    """Serve forecasts until Ctrl-C."""
    from feature_repo.redis_server import running_redis

    heed_signals()
    console.print("Starting the forecast endpoint; loading the libraries takes some seconds ...")
    with running_redis(settings), forecast_service(settings) as (address, process), _following_registry(settings):
        body = json.dumps({"symbol": "AAPL", "horizon_sessions": 1})
        console.print(f"The endpoint is at [bold]{address}[/bold], its documentation at {address}/docs. Try:\n")
        console.print(
            f"  curl -s {address}/api/v1/public/predict -H 'content-type: application/json' -d '{body}'\n",
            highlight=False,
        )
        if missing := _not_ready(address):
            console.print(f"[yellow]It cannot forecast yet.[/yellow] {escape(missing)}", highlight=False)
        _until_interrupt(console, process)


@contextmanager
def _following_registry(settings: "Settings") -> Iterator[None]:
    """Let a process take up what happens in the model registry while the block lasts."""
    from serving.launch import follow_registry_command, serve_environment

    log = settings.home / "logs" / "registry.log"
    with child(follow_registry_command(), serve_environment(settings), log):
        yield


def _not_ready(address: str) -> str:
    """Why the endpoint is up and could not forecast; empty when it could."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=READY_SECONDS):  # noqa: S310 - our own address
            return ""
    except urllib.error.HTTPError as error:
        return f"{json.load(error)['detail']}"


def ui(settings: "Settings", console: "Console") -> None:
    """Show the Dagster UI until Ctrl-C, with the daemon that runs schedules, sensors and backfills."""
    from feature_repo.redis_server import running_redis

    heed_signals()
    console.print("Starting the Dagster UI ...")
    home = prepare_home(settings)
    command = [executable("dagster"), "dev", "-h", LOOPBACK, "-p", str(UI_PORT), "-w", str(ROOT / "workspace.yaml")]
    with running_redis(settings), _server("ui", command, home, settings, UI_PORT, "/server_info") as (address, process):
        console.print(f"The Dagster UI is at [bold]{address}[/bold].")
        _until_interrupt(console, process)


def mlflow(settings: "Settings", console: "Console") -> None:
    """Show MLflow's tracking UI until Ctrl-C."""
    heed_signals()
    console.print("Starting MLflow ...")
    command = [executable("mlflow"), "server", "--host", LOOPBACK, "--port", str(MLFLOW_PORT), "--workers", "1"]
    command += ["--backend-store-uri", settings.tracking_uri]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    safe = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with _server("mlflow", command, quiet | safe, settings, MLFLOW_PORT, "/health") as (address, process):
        console.print(f"MLflow is at [bold]{address}[/bold].")
        _until_interrupt(console, process)


def lab(settings: "Settings", console: "Console") -> None:
    """Open Jupyter on the notebooks until Ctrl-C."""
    heed_signals()
    console.print("Starting Jupyter ...")
    command = [executable("jupyter"), "lab", "--no-browser", f"--ip={LOOPBACK}", f"--port={LAB_PORT}", "--allow-root"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={ROOT / 'notebooks'}"]
    token = secrets.token_urlsafe(24)
    home = {"QUANTLAKE_HOME": str(settings.home), "JUPYTER_TOKEN": token}
    with _server("jupyter", command, home, settings, LAB_PORT, "/lab") as (address, process):
        console.print(f"Jupyter is at [bold]{address}/lab?token={token}[/bold].")
        _until_interrupt(console, process)


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def _server(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    settings: "Settings",
    port: int,
    ready: str,
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise ConfigError(
                f"Something already listens on {LOOPBACK}:{port}. Stop it first; two servers cannot share it."
            )
    log = settings.home / "logs" / f"{name}.log"
    address = f"http://{LOOPBACK}:{port}"
    with child(command, environment, log) as process:
        wait_until_up(f"{address}{ready}", process, log)
        yield address, process


def _until_interrupt(console: "Console", process: "subprocess.Popen[bytes]") -> None:
    console.print("Ctrl-C stops it, with everything it started.")
    wait_for_interrupt(process)
    console.print("\nStopping ...")
