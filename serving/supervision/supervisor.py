"""Supervisor: starts the endpoint's processes, restarts a dead one, and stops them in order.

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

from serving.processes import metrics_folder, sockets
from serving.supervision.slots import Slot, WorkerSlot
from serving.supervision.worker import DRAIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.settings import Settings

logger = logging.getLogger("quantlake.supervisor")

ENDING = (signal.SIGTERM, signal.SIGINT)
HOPELESS = 3
"""Starts that fail before any worker has ever listened; then the supervisor gives up, and its log says why."""
KILL_SECONDS = DRAIN_SECONDS + 5.0


@dataclass
class Supervisor:
    """The processes of one endpoint: its workers, and the one that computes explanations.

    Parameters
    ----------
    configured
        Address and number of workers.
    command
        Starts a worker, with the number of its socket as a further argument.
    explaining
        Starts the process that computes explanations.
    """

    configured: "Settings"
    command: "Sequence[str]" = (sys.executable, "-m", "serving.supervision.worker")
    explaining: "Sequence[str]" = (sys.executable, "-m", "serving.explain.worker")
    workers: list[WorkerSlot] = field(init=False)
    explainer: Slot = field(init=False)
    _has_listened: bool = False

    def __post_init__(self) -> None:
        """Make a place for each process."""
        self.workers = [WorkerSlot(self.command) for _ in range(self.configured.workers)]
        self.explainer = Slot(self.explaining)

    def run(self) -> int:
        """Keep the processes running until SIGTERM or SIGINT; returns the exit code: 1 if no worker ever came up."""
        sockets.require_free(self.configured)
        folder = metrics_folder(self.configured)
        shutil.rmtree(folder, ignore_errors=True)  # what workers of an earlier start have counted
        folder.mkdir(parents=True)
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
        for slot in self.workers:
            if slot.is_due:
                self._start(slot)
        if self.explainer.is_due:
            self.explainer.start(self._environment())

    def _start(self, slot: WorkerSlot) -> None:
        slot.socket = slot.socket or sockets.bound(self.configured)
        number = slot.socket.fileno()
        slot.start(self._environment(), str(number), descriptors=[number])

    def _environment(self) -> dict[str, str]:
        """Return the environment of every process: their metrics are added up in one folder."""
        return {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics_folder(self.configured))}

    def _seconds_to_wait(self) -> float | None:
        due = [slot.due for slot in (*self.workers, self.explainer) if slot.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _reap(self) -> bool:
        """Reap ended processes; returns whether restarts are pointless."""
        self._has_listened = self._has_listened or any(slot.is_listening for slot in self.workers)
        dead = [slot for slot in self.workers if slot.has_ended]
        for slot in dead:
            logger.warning("worker %s", slot.reap())
        for slot in dead:  # once all are reaped: of two that ended, none stands in for the other
            self._release(slot)
        if self.explainer.has_ended:
            logger.warning("the process that computes explanations %s", self.explainer.reap())
        return not self._has_listened and any(slot.failures >= HOPELESS for slot in self.workers)

    def _release(self, slot: WorkerSlot) -> None:
        """Give up the socket of a worker that ended.

        Where another worker listens, the dead one's socket is closed at once, so that the kernel sends every new
        connection to the other. Where none does, the socket stays open: connections wait in it for the next worker.
        """
        if slot.socket is not None and any(other.is_listening for other in self.workers):
            slot.socket.close()
            slot.socket = None

    def _stop(self) -> None:
        """Drain the workers, then end what answers their last questions; a process past the limit is killed.

        Running requests are answered, new ones refused.
        """
        for slot in self.workers:
            if slot.socket is not None:
                slot.socket.close()  # the worker's copy is the last one, and the worker closes it when it stops
        _end([slot.process for slot in self.workers if slot.process is not None])
        _end([self.explainer.process] if self.explainer.process is not None else [])


def _end(running: "Sequence[subprocess.Popen[bytes]]") -> None:
    """End processes in order, and kill those that run past the limit."""
    for process in running:
        process.terminate()
    deadline = time.monotonic() + KILL_SECONDS
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.wait()


class Signals:
    """Signals as loop events: SIGTERM and SIGINT request a stop, SIGCHLD reports that a process may have ended."""

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
