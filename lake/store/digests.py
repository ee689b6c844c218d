"""Content digests of data files: part of each file's name, verified before its rows are used.

The name carries the digest (``part-<uuid>.<digest>.parquet``), so it is immutable, travels with copies and backups, and
needs no look-up in the log. Each process hashes each file once; `forget_verified_files` makes the next read hash again.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lake.disk import FileIdentity
from lake.errors import DamagedTableError

HEX = 32
"""Hexadecimal digits kept of a SHA-256: 128 bits, more than any accidental change can match."""
NAMED_DIGEST = rf"\.([0-9a-f]{{{HEX}}})\.parquet$"
"""Pattern of a file's name that carries a digest."""
_THREADS = min(4, os.cpu_count() or 1)

_VERIFIED: dict[str, FileIdentity] = {}


def digest_of(content: bytes | memoryview) -> str:
    """Digest of bytes, as a file's name carries it."""
    return hashlib.sha256(content).hexdigest()[:HEX]


def digest_of_file(path: str | Path) -> str:
    """Digest of a file's bytes.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as content:  # noqa: PTH123 - half the time of Path.open, over thousands of files
        return hashlib.file_digest(content, "sha256").hexdigest()[:HEX]


def named_digest(path: str | Path) -> str | None:
    """Digest that a file's name carries; None for a file written before names carried one."""
    found = re.search(NAMED_DIGEST, str(path))
    return found.group(1) if found else None


def remember(path: Path) -> None:
    """Count a file as verified: this process has just written it."""
    _VERIFIED[str(path)] = FileIdentity.of(path)


def forget_verified_files() -> None:
    """Forget which files were verified: each is hashed again at its next read. A training run begins with this."""
    _VERIFIED.clear()


def altered_files(paths: Iterable[str | Path], *, anew: bool = False) -> list[tuple[Path, str]]:
    """Return the files whose bytes are not those that were written.

    Parameters
    ----------
    paths
        Data files; those without a digest in their name, and those that are missing, are passed over.
    anew
        Hash files that this process has verified before as well.

    Returns
    -------
    list[tuple[Path, str]]
        Path and the digest that was found, in the order given.
    """
    due = []
    for path in map(str, paths):
        if named_digest(path) is not None:
            try:
                identity = FileIdentity.of(path)
            except FileNotFoundError:
                continue  # who reads it says so
            if anew or _VERIFIED.get(path) != identity:
                due.append((path, identity))
    if not due:
        return []
    with ThreadPoolExecutor(_THREADS) as threads:  # hashing releases the interpreter's lock
        found = list(threads.map(digest_of_file, [path for path, _ in due]))
    wrong = []
    for (path, identity), digest in zip(due, found, strict=True):
        if digest == named_digest(path):
            _VERIFIED[path] = identity
        else:
            _VERIFIED.pop(path, None)
            wrong.append((Path(path), digest))
    return wrong


def require_intact(table: str, paths: Iterable[str | Path]) -> None:
    """Refuse data files whose bytes changed since they were written.

    Raises
    ------
    DamagedTableError
        Naming the table, the first such file, both digests and the command that repairs it.
    """
    wrong = altered_files(paths)
    if wrong:
        path, found = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise DamagedTableError(
            f"Table '{table}' is damaged: the bytes of {path}{more} changed since they were written; their digest is "
            f"{found}, the file's name says {named_digest(path)}. Nothing was read from it. "
            f"`quantlake lake repair {table}` takes it out, and says what is lost."
        )
