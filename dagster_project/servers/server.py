"""A server that runs as a child of a command: started on a free port, waited for, stopped with Ctrl-C."""

import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster_project.servers.processes import child, wait_for_interrupt, wait_until_up
from lake.errors import ConfigError, NotReadyError

if TYPE_CHECKING:
    import subprocess

    from rich.console import Console

    from lake.settings import Settings

LOOPBACK = "127.0.0.1"
FREE_SECONDS = 3.0
"""How long a start waits for its port."""


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
