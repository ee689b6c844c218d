"""Runs the forecast endpoint, and the processes that follow the registry and deliver alerts, until Ctrl-C."""

import json
import shlex
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape

from dagster_project.servers.dashboard import print_link, running_dashboard
from dagster_project.servers.processes import GRACE_SECONDS, heed_signals
from dagster_project.servers.server import running_server, until_interrupt

if TYPE_CHECKING:
    from rich.console import Console

    from lake.settings import Settings

READY_SECONDS = 10
FOLLOWERS = 6
"""How often a process beside the service, e.g. the one that follows the registry, is started at most."""
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


def serve(settings: "Settings", console: "Console", *, shows_key: bool = False) -> None:
    """Serve forecasts until Ctrl-C, with the dashboard beside or among them unless it is off.

    Parameters
    ----------
    shows_key
        Whether the question that is printed holds the key of this machine; otherwise it has the shell read its file.
    """
    from feature_repo.online.redis_server import running_redis
    from lake.store import Lake
    from serving import audit
    from serving.access import trusting

    heed_signals()
    console.print("Starting the forecast endpoint; loading the libraries takes some seconds ...")
    audit.note_configuration(Lake.open(settings), settings, who=audit.console())
    with (
        running_redis(settings),
        forecast_service(settings) as (address, process),
        _following_registry(settings, console),
        _delivering_alerts(settings, console),
        _beside(settings) as beside,
    ):
        console.print(f"The endpoint is at [bold]{address}[/bold], its documentation at {address}/docs. Try:\n")
        console.print(f"  {_curl(settings, address, shows_key=shows_key)}\n", highlight=False, markup=False)
        if missing := _not_ready(address, trusting(settings)):
            console.print(f"[yellow]It cannot forecast yet.[/yellow] {escape(missing)}", highlight=False)
        if settings.dashboard != "off":
            print_link(settings, console)
        until_interrupt(console, process, *beside)


@contextmanager
def _beside(settings: "Settings") -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Run what is set to run beside the endpoint; gives the processes."""
    if settings.dashboard != "own":
        yield []
        return
    with running_dashboard(settings) as process:
        yield [process]


@contextmanager
def _following_registry(settings: "Settings", console: "Console") -> Iterator[None]:
    """Run the registry watch as a child process while the block lasts; it is restarted if it ends early."""
    from serving.supervision import follow_registry_command

    what = ("follows the model registry", "Moved aliases are not taken up any more; start anew.")
    with _kept_running(settings, console, "registry", follow_registry_command, what):
        yield


@contextmanager
def _delivering_alerts(settings: "Settings", console: "Console") -> Iterator[None]:
    """Run the delivery of alerts as a child process while the block lasts; it is restarted if it ends early."""
    from serving.alerting import channels_of
    from serving.supervision import deliver_alerts_command

    channels_of(settings)  # refuses a channel that is declared by half, before anything is started
    what = ("delivers alerts", "Alerts are kept and not delivered any more; start anew.")
    with _kept_running(settings, console, "alerts", deliver_alerts_command, what):
        yield


@contextmanager
def _kept_running(
    settings: "Settings", console: "Console", name: str, command: Callable[[], list[str]], what: tuple[str, str]
) -> Iterator[None]:
    """Keep a child process running while the block lasts.

    Parameters
    ----------
    what
        What the process does, and what its user has to know once it is not started again.
    """
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(settings, console, over, name, command, what), name=name)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _keep(
    settings: "Settings",
    console: "Console",
    over: threading.Event,
    name: str,
    command: Callable[[], list[str]],
    what: tuple[str, str],
) -> None:
    """Start a process, again where it ends, and end it when it is over."""
    from serving.processes import tied
    from serving.supervision import serve_environment

    log = settings.home / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    for start in range(1, FOLLOWERS + 1):
        with log.open("ab") as output:
            process = subprocess.Popen(
                command(), stdout=output, stderr=output, start_new_session=True, **tied(serve_environment(settings))
            )
        while process.poll() is None and not over.wait(REST_SECONDS):
            pass
        if over.is_set():
            _end(process)
            return
        then = "It is started again." if start < FOLLOWERS else what[1]
        message = f"The process that {what[0]} ended with {process.returncode}, see {log}. {then}"
        console.print(f"[yellow]{escape(message)}[/yellow]", highlight=False)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _curl(settings: "Settings", address: str, *, shows_key: bool) -> str:
    """A question to be pasted into a shell; it holds the key of this machine, or has the shell read its file."""
    from serving.access import local_key, local_path

    key = local_key(settings) if shows_key else f"$(cat {shlex.quote(str(local_path(settings)))})"
    body = json.dumps({"symbol": next(iter(settings.declared_market.symbols), "SYMBOL"), "horizon_sessions": 1})
    trusted = "" if settings.tls_certificate is None else f" --cacert '{settings.tls_certificate}'"
    headers = f"-H \"authorization: Bearer {key}\" -H 'content-type: application/json'"
    return f"curl -s{trusted} {address}/api/v1/public/predict {headers} -d '{body}'"


def _not_ready(address: str, trusted: ssl.SSLContext | None) -> str:
    """Reason why the running endpoint cannot forecast; empty when it can."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=READY_SECONDS, context=trusted):  # noqa: S310 - our own
            return ""
    except urllib.error.HTTPError as error:
        return f"{json.load(error)['detail']}"
