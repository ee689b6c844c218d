"""The verbs that keep something running until Ctrl-C: the endpoint, the Dagster UI, MLflow, Jupyter."""

import json
import os
import secrets
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from dagster_project.home import prepare_home
from dagster_project.processes import GRACE_SECONDS, child, executable, heed_signals, wait_for_interrupt, wait_until_up
from lake.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from lake.settings import Settings

ROOT = Path(__file__).parent.parent
UI_PORT, MLFLOW_PORT, LAB_PORT = 3001, 5000, 8888
LOOPBACK = "127.0.0.1"
READY_SECONDS = 10
FOLLOWERS = 6
"""How often the process that follows the registry is started at most while the service runs."""
REST_SECONDS = 1.0
"""How long after its end it is started again."""


@contextmanager
def forecast_service(settings: "Settings") -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run the BentoML service while the block lasts; gives its address and process. Redis must be up already.

    The key that programs of this home show it is made first.
    """
    from serving.access.exposure import local_address, trusting
    from serving.access.keys import local_key
    from serving.launch import serve_command, serve_environment

    local_key(settings)
    command, environment = serve_command(settings), serve_environment(settings)
    address, trusted = local_address(settings), trusting(settings)
    with _server("endpoint", command, environment, settings, settings.port, "/readyz", address, trusted) as running:
        yield running


def serve(settings: "Settings", console: "Console") -> None:
    """Serve forecasts until Ctrl-C."""
    from feature_repo.redis_server import running_redis
    from lake.store import Lake
    from serving import audit
    from serving.access.exposure import trusting
    from serving.access.keys import local_key

    heed_signals()
    console.print("Starting the forecast endpoint; loading the libraries takes some seconds ...")
    audit.note_configuration(Lake.open(settings), settings, who=audit.console())
    with (
        running_redis(settings),
        forecast_service(settings) as (address, process),
        _following_registry(settings, console),
    ):
        console.print(f"The endpoint is at [bold]{address}[/bold], its documentation at {address}/docs. Try:\n")
        console.print(f"  {_curl(settings, address, local_key(settings))}\n", highlight=False, markup=False)
        if missing := _not_ready(address, trusting(settings)):
            console.print(f"[yellow]It cannot forecast yet.[/yellow] {escape(missing)}", highlight=False)
        _until_interrupt(console, process)


@contextmanager
def _following_registry(settings: "Settings", console: "Console") -> Iterator[None]:
    """Let a process take up what happens in the model registry while the block lasts, another one if it ends early."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep_following, args=(settings, console, over), name="registry")
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _keep_following(settings: "Settings", console: "Console", over: threading.Event) -> None:
    """Start the process that follows the registry, again where it ends, and end it when it is over."""
    from serving.launch import follow_registry_command, serve_environment

    log = settings.home / "logs" / "registry.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    for start in range(1, FOLLOWERS + 1):
        with log.open("ab") as output:
            environment = {**os.environ, **serve_environment(settings)}
            process = subprocess.Popen(
                follow_registry_command(), env=environment, stdout=output, stderr=output, start_new_session=True
            )
        while process.poll() is None and not over.wait(REST_SECONDS):
            pass
        if over.is_set():
            _end(process)
            return
        what = "It is started again." if start < FOLLOWERS else "Moved aliases are not taken up any more; start anew."
        said = f"The process that follows the model registry ended with {process.returncode}, see {log}. {what}"
        console.print(f"[yellow]{escape(said)}[/yellow]", highlight=False)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _curl(settings: "Settings", address: str, key: str) -> str:
    """A question to be pasted into a shell."""
    body = json.dumps({"symbol": "AAPL", "horizon_sessions": 1})
    trusted = "" if settings.tls_certificate is None else f" --cacert '{settings.tls_certificate}'"
    headers = f"-H 'authorization: Bearer {key}' -H 'content-type: application/json'"
    return f"curl -s{trusted} {address}/api/v1/public/predict {headers} -d '{body}'"


def _not_ready(address: str, trusted: ssl.SSLContext | None) -> str:
    """Why the endpoint is up and could not forecast; empty when it could."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=READY_SECONDS, context=trusted):  # noqa: S310 - our own
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
    from training.artifact_addresses import artifact_root, localize

    heed_signals()
    localize(settings)
    console.print("Starting MLflow ...")
    command = [executable("mlflow"), "server", "--host", LOOPBACK, "--port", str(MLFLOW_PORT), "--workers", "1"]
    command += ["--backend-store-uri", settings.tracking_uri]
    if settings.mlflow_tracking_uri is None:
        command += ["--default-artifact-root", artifact_root(settings)]
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
    at: str = "",
    trusted: ssl.SSLContext | None = None,
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise ConfigError(
                f"Something already listens on {LOOPBACK}:{port}. Stop it first; two servers cannot share it."
            )
    log = settings.home / "logs" / f"{name}.log"
    address = at or f"http://{LOOPBACK}:{port}"
    with child(command, environment, log) as process:
        wait_until_up(f"{address}{ready}", process, log, trusting=trusted)
        yield address, process


def _until_interrupt(console: "Console", process: "subprocess.Popen[bytes]") -> None:
    console.print("Ctrl-C stops it, with everything it started.")
    wait_for_interrupt(process)
    console.print("\nStopping ...")
