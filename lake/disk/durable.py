"""Small files that outlive a crash: a reader finds the old or the new one, never a part. And who may write."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lake.errors import NotReadyError

LOCK_SECONDS = 120.0


def write_durably(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace a small file so that a reader, or a machine that loses power, finds the old or the new, never a part.

    Parameters
    ----------
    mode
        Who may read and write it, before the umask; 0o600 for a secret.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)  # left by a process that was killed, perhaps with another mode
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Put a file, or a folder's entries, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone(lock_file: Path, what: str) -> Iterator[None]:
    """Hold something alone among all processes of this machine; a killed holder lets go."""
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
