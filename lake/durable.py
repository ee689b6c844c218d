"""Small files that outlive a crash: a reader finds the old or the new one, never a part."""

import os
from pathlib import Path


def write_durably(path: Path, text: str) -> None:
    """Replace a small file so that a reader, or a machine that loses power, finds the old or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    with fresh.open("w", encoding="utf-8") as file:
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
