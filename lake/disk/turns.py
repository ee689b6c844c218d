"""One job at a time in a home: whoever comes second says who is at work, and takes its turn.

A job is whatever computes tables from tables: the demo, a market day, an update, house-keeping, a backup, a run that
was started in the Dagster UI. Two of them at once would both compute everything, and one would fail.
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

LOCK, HOLDER = "job.lock", "job.json"
POLL_SECONDS = 0.2
LOOKS = 10
"""How often a waiting job looks for the holder's name before it goes on without: it is written just after the lock."""


@dataclass
class _Held:
    """The lock of one home as this process holds it."""

    lock: FileLock
    depth: int = 0


_HELD: dict[Path, _Held] = {}
_GUARD = threading.RLock()


@contextmanager
def turn(home: Path, job: str, say: Callable[[str], object]) -> Iterator[None]:
    """Do a job of a home alone among all processes of this machine, waiting for the one that is at work.

    A job within a job of the same process goes on at once. The system frees the lock of a process that is killed.

    Parameters
    ----------
    home
        Folder of everything generated.
    job
        What the others are told, e.g. ``quantlake advance``.
    say
        Is given one sentence, once, where there is somebody to wait for.
    """
    with _GUARD:  # a second thread of this process waits here for the first, and then goes on at once
        held = _HELD.get(home)
        if held is None:
            home.mkdir(parents=True, exist_ok=True)
            lock = FileLock(home / LOCK, thread_local=False)
            _acquire(lock, home, say)
            held = _HELD[home] = _Held(lock)
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


def _acquire(lock: FileLock, home: Path, say: Callable[[str], object]) -> None:
    for _ in range(LOOKS):
        with suppress(Timeout):
            lock.acquire(blocking=False)
            return
        if (holder := _read_holder(home)) is not None:
            break
        time.sleep(POLL_SECONDS)
    else:
        holder = "Another job"
    say(f"{holder} is running in this home; waiting for it to finish. Ctrl-C to leave.")
    lock.acquire(poll_interval=POLL_SECONDS)


def _write_holder(home: Path, job: str) -> None:
    said = {"job": job, "pid": os.getpid(), "since": datetime.now().astimezone().isoformat(timespec="seconds")}
    with suppress(OSError):  # a full disk takes the name from the others, not the turn from this one
        write_durably(home / HOLDER, json.dumps(said))


def _read_holder(home: Path) -> str | None:
    """Who holds the lock; None where nobody, or one that has ended, has written its name."""
    try:
        said = json.loads((home / HOLDER).read_text(encoding="utf-8"))
        since, pid = datetime.fromisoformat(said["since"]), int(said["pid"])
        os.kill(pid, 0)
    except PermissionError:
        pass  # it lives, and belongs to another user
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return f"`{said['job']}` (pid {pid}, since {since:%H:%M})"
