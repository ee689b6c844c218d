"""The endpoint as a verb that runs until Ctrl-C, and what all such verbs share; the web UIs are in `uis.verbs`."""

import json
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape

from dagster_project.commands.processes import GRACE_SECONDS, child, heed_signals, wait_for_interrupt, wait_until_up
from lake.errors import ConfigError, NotReadyError

if TYPE_CHECKING:
    from rich.console import Console

    from lake.settings import Settings

LOOPBACK = "127.0.0.1"
READY_SECONDS = 10
FREE_SECONDS = 3.0
"""How long a start waits for its port."""
FOLLOWERS = 6
"""How often the process that follows the registry is started at most while the service runs."""
REST_SECONDS = 1.0
"""How long after its end it is started again."""


@contextmanager
def forecast_service(settings: "Settings") -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run the BentoML service while the block lasts; gives its address and process. Redis must be up already.

    The key that programs of this home show it is made first.
    """
    from serving.access import local_address, local_key, trusting
    from serving.supervision import serve_command, serve_environment

    local_key(settings)
    command, environment = serve_command(settings), serve_environment(settings)
    address, trusted = local_address(settings), trusting(settings)
    with running_server(
        "endpoint", command, environment, settings, settings.port, "/readyz", address, trusted
    ) as running:
        yield running


def serve(settings: "Settings", console: "Console") -> None:
    """Serve forecasts until Ctrl-C."""
    from feature_repo.online.redis_server import running_redis
    from lake.store import Lake
    from serving import audit
    from serving.access import local_key, trusting

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
        until_interrupt(console, process)


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
    from serving.processes import tied
    from serving.supervision import follow_registry_command, serve_environment

    log = settings.home / "logs" / "registry.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    for start in range(1, FOLLOWERS + 1):
        with log.open("ab") as output:
            process = subprocess.Popen(
                follow_registry_command(),
                stdout=output,
                stderr=output,
                start_new_session=True,
                **tied(serve_environment(settings)),
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


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running_server(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    settings: "Settings",
    port: int,
    ready: str,
    at: str = "",
    trusted: ssl.SSLContext | None = None,
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run a server while the block lasts, from when it answers on; gives its address and process.

    Parameters
    ----------
    name
        Of its log file.
    ready
        Path that is asked until there is an answer, of whatever status.
    at, trusted
        Its address where that is not plain HTTP on loopback, and what its certificate is checked with.

    Raises
    ------
    ConfigError
        If something listens on its port already, or another user took it while the server was starting.
    """
    from serving.processes.sockets import require_own

    _require_free(port)
    log = settings.home / "logs" / f"{name}.log"
    address = at or f"http://{LOOPBACK}:{port}"
    with child(command, environment, log) as process:
        wait_until_up(f"{address}{ready}", process, log, trusting=trusted)
        require_own(address)
        yield address, process


def _require_free(port: int) -> None:
    """Refuse a port that something listens on; a server of ours that was killed takes a second or two to be gone."""
    deadline = time.monotonic() + FREE_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)):
                return
        if time.monotonic() > deadline:
            raise ConfigError(
                f"Something already listens on {LOOPBACK}:{port}. Stop it first; two servers cannot share it."
            )
        time.sleep(0.05)


def until_interrupt(console: "Console", *processes: "subprocess.Popen[bytes]") -> None:
    """Wait for Ctrl-C or SIGTERM.

    Raises
    ------
    NotReadyError
        If one of the processes ends by itself.
    """
    console.print("Ctrl-C stops it, with everything it started.")
    if (ended := wait_for_interrupt(*processes)) is not None:
        raise NotReadyError(
            f"The server ended by itself with {ended}. Its log is the newest file in the folder `logs` of "
            "QUANTLAKE_HOME; start it again with the same command."
        )
    console.print("\nStopping ...")
