"""Supervisor: starts the endpoint's workers, restarts a dead one, and stops them in order.

It takes no orders over any socket: it obeys signals, and the end of the process that started it.
"""

import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serving.processes import metrics_folder, sockets, tied
from serving.supervision.worker import DRAIN_SECONDS

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from lake.settings import Settings

logger = logging.getLogger("quantlake.supervisor")

ENDING = (signal.SIGTERM, signal.SIGINT)
SETTLED_SECONDS = 10.0
"""A worker that lived that long is started again at once; the wait grows with each shorter life."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
HOPELESS = 3
"""Starts that fail before any worker has ever listened; then the supervisor gives up, and its log says why."""
KILL_SECONDS = DRAIN_SECONDS + 5.0


@dataclass
class Slot:
    """The place of one worker.

    Parameters
    ----------
    process, socket
        Its process, and the supervisor's copy of its socket; None while there is none.
    started, due
        When it was started last and when it is to be started next, as ``time.monotonic()``.
    failures
        Short lives in a row.
    """

    process: "subprocess.Popen[bytes] | None" = None
    socket: "socket.socket | None" = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0

    @property
    def is_listening(self) -> bool:
        """Whether the worker accepts connections."""
        return self.process is not None and self.socket is not None and sockets.is_listening(self.socket)


@dataclass
class Supervisor:
    """The workers of one endpoint.

    Parameters
    ----------
    configured
        Address and number of workers.
    command
        Starts a worker, with the number of its socket as a further argument.
    """

    configured: "Settings"
    command: "Sequence[str]" = (sys.executable, "-m", "serving.supervision.worker")
    slots: list[Slot] = field(default_factory=list)
    _has_listened: bool = False

    def run(self) -> int:
        """Keep the workers running until SIGTERM or SIGINT, and return the exit code: 1 if none ever came up."""
        sockets.require_free(self.configured)
        folder = metrics_folder(self.configured)
        shutil.rmtree(folder, ignore_errors=True)  # what workers of an earlier start have counted
        folder.mkdir(parents=True)
        self.slots = [Slot() for _ in range(self.configured.workers)]
        is_hopeless = False
        signals = Signals()
        while not signals.is_over and not is_hopeless:
            self._start_due()
            signals.wait(self._seconds_to_wait())
            if not signals.is_over:
                is_hopeless = self._reap()
        self._stop()
        return 1 if is_hopeless else 0

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot in self.slots:
            if slot.process is None and slot.due <= now:
                self._start(slot)

    def _start(self, slot: Slot) -> None:
        slot.socket = slot.socket or sockets.bound(self.configured)
        number = slot.socket.fileno()
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics_folder(self.configured))}
        command = [*self.command, str(number)]
        slot.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **tied(environment, number))
        slot.started = time.monotonic()

    def _seconds_to_wait(self) -> float | None:
        due = [slot.due for slot in self.slots if slot.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _reap(self) -> bool:
        """Reap ended workers; returns whether restarts are pointless."""
        self._has_listened = self._has_listened or any(slot.is_listening for slot in self.slots)
        dead = [(slot, slot.process) for slot in self.slots if slot.process and slot.process.poll() is not None]
        for slot, _ in dead:
            slot.process = None
        for slot, process in dead:
            self._release(slot, process.returncode)
        return not self._has_listened and any(slot.failures >= HOPELESS for slot in self.slots)

    def _release(self, slot: Slot, code: int) -> None:
        """Plan the next start of a worker that ended.

        Where another worker listens, the dead one's socket is closed at once, so that the kernel sends every new
        connection to the other. Where none does, the socket stays open: connections wait in it for the next worker.
        """
        lived = time.monotonic() - slot.started
        slot.failures = slot.failures + 1 if lived < SETTLED_SECONDS else 0
        wait = FIRST_WAIT_SECONDS * 2 ** (slot.failures - 2) if slot.failures > 1 else 0.0
        slot.due = time.monotonic() + min(wait, LONGEST_WAIT_SECONDS)
        if slot.socket is not None and any(other.is_listening for other in self.slots):
            slot.socket.close()
            slot.socket = None
        logger.warning("worker ended with %s after %.1f s; the next one starts in %.1f s", code, lived, wait)

    def _stop(self) -> None:
        """Drain the workers: running requests are answered, new ones refused; a worker past the limit is killed."""
        for slot in self.slots:
            if slot.socket is not None:
                slot.socket.close()  # the worker's copy is the last one, and the worker closes it when it stops
        running = [slot.process for slot in self.slots if slot.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + KILL_SECONDS
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()


class Signals:
    """Signals as loop events: SIGTERM and SIGINT request a stop, SIGCHLD reports that a worker may have ended."""

    def __init__(self) -> None:
        self._arrived: set[int] = set()
        self._read, write = os.pipe()
        for end in (self._read, write):
            os.set_blocking(end, False)
        for number in (*ENDING, signal.SIGCHLD):
            signal.signal(number, lambda arriving, _: self._arrived.add(arriving))
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    @property
    def is_over(self) -> bool:
        """Whether a stop was requested."""
        return bool(self._arrived & set(ENDING))

    def wait(self, seconds: float | None) -> None:
        """Wait for the next signal, at most so many seconds."""
        select.select([self._read], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._read, 4_096)
