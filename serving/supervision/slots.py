"""Places of the supervisor's processes: which one runs there, and when it is started again."""

import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.processes import sockets, tied

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

SETTLED_SECONDS = 10.0
"""A process that lived that long is started again at once; the wait grows with each shorter life."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0


@dataclass
class Slot:
    """The place of one process.

    Parameters
    ----------
    command
        Starts it.
    process
        The process; None while there is none.
    started, due
        When it was started last and when it is to be started next, as ``time.monotonic()``.
    failures
        Short lives in a row.
    """

    command: "Sequence[str]"
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0

    @property
    def is_due(self) -> bool:
        """Whether its process is to be started now."""
        return self.process is None and self.due <= time.monotonic()

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended and was not reaped yet."""
        return self.process is not None and self.process.poll() is not None

    def start(self, environment: "Mapping[str, str]", *arguments: str, descriptors: "Sequence[int]" = ()) -> None:
        """Start its process, which ends with this one and inherits further file descriptors."""
        command = [*self.command, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **tied(environment, *descriptors))
        self.started = time.monotonic()

    def reap(self) -> str:
        """Plan the next start after its process has ended; returns what happened, for the log."""
        assert self.process is not None
        code, lived = self.process.returncode, time.monotonic() - self.started
        self.process = None
        self.failures = self.failures + 1 if lived < SETTLED_SECONDS else 0
        wait = FIRST_WAIT_SECONDS * 2 ** (self.failures - 2) if self.failures > 1 else 0.0
        self.due = time.monotonic() + min(wait, LONGEST_WAIT_SECONDS)
        return f"ended with {code} after {lived:.1f} s; the next one starts in {min(wait, LONGEST_WAIT_SECONDS):.1f} s"


@dataclass
class WorkerSlot(Slot):
    """The place of one worker.

    Parameters
    ----------
    socket
        The supervisor's copy of its socket; None while there is none.
    """

    socket: "socket.socket | None" = None

    @property
    def is_listening(self) -> bool:
        """Whether the worker accepts connections."""
        return self.process is not None and self.socket is not None and sockets.is_listening(self.socket)
