"""Integrity check of a SQLite file."""

import sqlite3
from pathlib import Path

from lake.disk import check_pages, is_sqlite

BUSY_SECONDS = 2.0
QUICK_BYTES = 256 << 20
"""A larger file is checked page by page only by ``--deep``: SQLite reads about a gigabyte in two seconds."""


def fault_of_sqlite(path: Path, *, is_deep: bool = False) -> str | None:
    """Return the fault of a database; None for a sound one, or for one that is locked now.

    The file is opened for reading alone, beside the processes that write to it.
    """
    try:
        size = path.stat().st_size
        is_database = is_sqlite(path)
    except FileNotFoundError:
        return None
    if not is_database:
        return "it does not begin as an SQLite file does" if size else "it is empty"
    return None if size > QUICK_BYTES and not is_deep else _fault_of_pages(path)


def _fault_of_pages(path: Path) -> str | None:
    try:
        fault = check_pages(path, busy_seconds=BUSY_SECONDS)
    except sqlite3.DatabaseError as error:
        is_busy = error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN}
        return None if is_busy else f"SQLite says: {error}"
    return f"SQLite says: {fault.splitlines()[0]}" if fault else None
