"""Child processes of a command: started together, stopped together."""

import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lake.errors import NotReadyError
from serving.processes import tied

GRACE_SECONDS = 20.0
LOOK_SECONDS = 0.2
ENDING = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask a verb to stop."""


def executable(name: str) -> str:
    """Path of a command that was installed beside this Python."""
    return str(Path(sys.executable).parent / name)


@contextmanager
def child(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own while the block lasts, and end everything it started after it.

    Its output goes to `log`, so that the terminal stays readable. It can notice the end of this process, see
    `serving.processes.lifeline`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    process = None
    with log.open("ab") as output:
        try:
            with _signals_held_back():
                process = subprocess.Popen(
                    list(command),
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    **tied({**os.environ, **environment}),
                )
            yield process
        finally:
            if process is not None:
                _end(process)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM to the end of the block.

    During a start they would orphan the child; while `Popen` looks at one, they would leave its lock taken, and every
    later wait would hang.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread alone
        return
    arrived: list[int] = []
    handlers = {number: signal.signal(number, lambda n, _: arrived.append(n)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for late in arrived:
        signal.raise_signal(late)


def wait_until_up(
    address: str,
    process: subprocess.Popen[bytes],
    log: Path,
    *,
    seconds: float = 120.0,
    trusting: ssl.SSLContext | None = None,
) -> None:
    """Wait until an address answers.

    Parameters
    ----------
    trusting
        What its certificate is checked with, where it speaks TLS.

    Raises
    ------
    NotReadyError
        If the process ends first or the time is over; the end of its log is in the message.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not _has_ended(process):
        try:
            with urllib.request.urlopen(address, timeout=2, context=trusting):  # noqa: S310 - always our own address
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
    raise NotReadyError(f"{address} did not come up. The end of {log}:\n{tail}")


def heed_signals() -> None:
    """Handle SIGTERM like Ctrl-C, so that child processes are stopped.

    To be called before the first child is started.
    """

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell starts background commands with it ignored, and then Python leaves it so.
    for number in ENDING:
        signal.signal(number, leave)


def wait_for_interrupt(*processes: subprocess.Popen[bytes]) -> int | None:
    """Wait until Ctrl-C, SIGTERM or the end of a process; return the exit code of the process that ended, if any."""
    heed_signals()
    try:
        while not any(map(_has_ended, processes)):
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return None
    return next(process.returncode for process in processes if process.returncode is not None)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    with _signals_held_back():
        return process.poll() is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    with _signals_held_back():
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        process.wait()
