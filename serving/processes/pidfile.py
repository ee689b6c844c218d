"""One supervisor for each port of a home: a locked file that names the process.

The lock is the truth: the kernel releases it with the process, so no stale file can stand in the way of a start. The
process id in the file serves messages and tools; it is believed only together with the start time of the process.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import psutil

from lake.errors import ConfigError

if TYPE_CHECKING:
    from lake.settings import Settings

TAKEOVER_SECONDS = 5.0
"""How long a start waits for a supervisor whose parent is gone, and which is therefore about to end."""
SAME_SECONDS = 0.05
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Process:
    """Identity of a process, distinct from a later one with the same id.

    Parameters
    ----------
    pid
        Process id.
    started
        Start time in seconds since the epoch, as the operating system reports it.
    """

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Read the start time of a running process; one that does not run raises `psutil.NoSuchProcess`."""
        return cls(pid, psutil.Process(pid).create_time())

    @property
    def is_running(self) -> bool:
        """Whether this process runs; False for another process with the same id, and for a zombie."""
        with suppress(psutil.Error):
            found = psutil.Process(self.pid)
            is_same = bool(abs(found.create_time() - self.started) < SAME_SECONDS)
            return is_same and bool(found.status() != psutil.STATUS_ZOMBIE)
        return False


@dataclass(frozen=True)
class Holder:
    """The process that serves a port.

    Parameters
    ----------
    supervisor
        The supervisor itself.
    parent
        The process that started it.
    """

    supervisor: Process
    parent: Process


def pid_file(configured: "Settings") -> Path:
    """Path of the file, one for each port of a home."""
    return configured.home / "run" / f"endpoint-{configured.port}.json"


def holder(configured: "Settings") -> Holder | None:
    """Return who serves the settings' port; None where no file can be read or its process does not run any more."""
    try:
        read = json.loads(pid_file(configured).read_text(encoding="utf-8"))
        found = Holder(Process(**read["supervisor"]), Process(**read["parent"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.supervisor.is_running else None


@contextmanager
def held(configured: "Settings") -> Iterator[None]:
    """Hold the pid file of the settings' port while the block lasts.

    A supervisor that is about to end, because the process that started it is gone, is waited for.

    Raises
    ------
    ConfigError
        If another supervisor of this home serves the port; its process id is in the message.
    """
    path = pid_file(configured)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+", encoding="utf-8") as file:
        _lock(file, configured)
        file.truncate(0)
        us = Holder(Process.of(os.getpid()), Process.of(os.getppid()))
        json.dump(asdict(us), file)
        file.flush()
        yield
        file.truncate(0)


def _lock(file: IO[str], configured: "Settings") -> None:
    deadline = time.monotonic() + TAKEOVER_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            found = holder(configured)
            is_wanted = found is not None and found.parent.is_running
            if is_wanted or time.monotonic() > deadline:
                number = found.supervisor.pid if found else "unknown"
                raise ConfigError(
                    f"The endpoint of {configured.home} on port {configured.port} is served by process {number}. "
                    "Stop it with Ctrl-C where it was started, or set QUANTLAKE_PORT to another port."
                ) from error
            time.sleep(LOOK_SECONDS)
        else:
            return
