"""Small files that survive a crash: a reader finds the old or the new one, never a part."""

import os
from pathlib import Path


def write_durably(path: Path, content: str | bytes, *, mode: int = 0o666) -> None:
    """Replace a small file so that a reader, or a machine that loses power, finds the old or the new, never a part.

    Parameters
    ----------
    content
        Text is written as UTF-8.
    mode
        Who may read and write it, before the umask; 0o600 for a secret.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)  # left by a process that was killed, perhaps with another mode
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
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
