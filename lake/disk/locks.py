"""Locks among the processes of one machine: `file_lock` for a write, `job_lock` for a whole job of a home.

A job is whatever computes tables from tables: the demo, a market day, an update, maintenance, a backup, a run that was
started in the Dagster UI. Two of them at once would both compute everything, and one would fail; so the second one
names the first, waits, and runs after it.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lake.disk.durable import write_durably
from lake.errors import NotReadyError

LOCK_SECONDS = 120.0
"""Longest wait for a file lock; no write holds one that long."""
LOCK, HOLDER = "job.lock", "job.json"
POLL_SECONDS = 0.2
LOOKS = 10
"""How often a waiting job looks for the holder's name before it goes on without: it is written just after the lock."""


@dataclass
class _HeldLock:
    """The lock of one home as this process holds it, and how many nested jobs use it."""

    lock: FileLock
    depth: int = 0


_HELD: dict[Path, _HeldLock] = {}
_GUARD = threading.RLock()


@contextmanager
def file_lock(lock_file: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock among all processes of this machine; the system releases the lock of a killed process.

    Parameters
    ----------
    lock_file
        Path of the lock file; it is made where it does not exist, and stays.
    what
        What the lock protects, for the error message.

    Raises
    ------
    NotReadyError
        If another process has held the lock for `LOCK_SECONDS`.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file, timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise NotReadyError(
            f"{what} has been locked by another process for {LOCK_SECONDS:.0f} seconds, longer than any write takes. "
            f"Find the process that holds {lock.lock_file} and end it."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def job_lock(home: Path, job: str, notify: Callable[[str], object]) -> Iterator[None]:
    """Run a job of a home while no other process of this machine runs one; wait for the job that is running.

    A job within a job of the same process goes on at once. The system releases the lock of a killed process.

    Parameters
    ----------
    home
        Folder of everything generated.
    job
        Name that waiting processes show, e.g. ``quantlake advance``.
    notify
        Called once with one sentence where there is a job to wait for.
    """
    with _GUARD:  # a second thread of this process waits here for the first, and then goes on at once
        held = _HELD.get(home)
        if held is None:
            home.mkdir(parents=True, exist_ok=True)
            lock = FileLock(home / LOCK, thread_local=False)
            _acquire(lock, home, notify)
            held = _HELD[home] = _HeldLock(lock)
            _write_holder(home, job)
        held.depth += 1
    try:
        yield
    finally:
        with _GUARD:
            held.depth -= 1
            if not held.depth:
                del _HELD[home]
                (home / HOLDER).unlink(missing_ok=True)
                held.lock.release()


def _acquire(lock: FileLock, home: Path, notify: Callable[[str], object]) -> None:
    for _ in range(LOOKS):
        with suppress(Timeout):
            lock.acquire(blocking=False)
            return
        if (holder := _read_holder(home)) is not None:
            break
        time.sleep(POLL_SECONDS)
    else:
        holder = "Another job"
    notify(f"{holder} is running in this home; waiting for it to finish. Ctrl-C to leave.")
    lock.acquire(poll_interval=POLL_SECONDS)


def _write_holder(home: Path, job: str) -> None:
    holder = {"job": job, "pid": os.getpid(), "since": datetime.now().astimezone().isoformat(timespec="seconds")}
    with suppress(OSError):  # on a full disk the lock works, and waiting jobs see no name
        write_durably(home / HOLDER, json.dumps(holder))


def _read_holder(home: Path) -> str | None:
    """Read who holds the lock; None where no process that is alive has written its name."""
    try:
        holder = json.loads((home / HOLDER).read_text(encoding="utf-8"))
        since, pid = datetime.fromisoformat(holder["since"]), int(holder["pid"])
        os.kill(pid, 0)
    except PermissionError:
        pass  # it is alive, and belongs to another user
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return f"`{holder['job']}` (pid {pid}, since {since:%H:%M})"
