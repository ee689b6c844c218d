"""Whether a file is an SQLite database, and what SQLite itself says about its pages."""

import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

SQLITE_HEADER = b"SQLite format 3\0"
STEPS = 10_000
"""Instructions of SQLite's machine between two looks at the clock."""


def is_sqlite(path: Path) -> bool:
    """Whether a file begins as an SQLite database does."""
    with path.open("rb") as file:
        return file.read(len(SQLITE_HEADER)) == SQLITE_HEADER


def check_pages(path: Path, *, busy_seconds: float, seconds: float | None = None, read_only: bool = True) -> str:
    """Let SQLite check a database page by page.

    Parameters
    ----------
    busy_seconds
        Longest wait for another process that holds the database.
    seconds
        Longest time to check; the check is interrupted after it. No limit by default.
    read_only
        Open the database for reading; otherwise SQLite may bring its write-ahead log into it.

    Returns
    -------
    str
        The first fault that SQLite names; empty where it finds none.

    Raises
    ------
    sqlite3.DatabaseError
        If the database cannot be read, is in use, or the check was interrupted.
    """
    import sqlite3  # here, because every command loads this folder and few look at a database

    address = f"file:{quote(str(path))}?mode={'ro' if read_only else 'rwc'}"
    with closing(sqlite3.connect(address, uri=True, timeout=busy_seconds)) as database:
        if seconds is not None:
            until = time.monotonic() + seconds
            database.set_progress_handler(lambda: time.monotonic() > until, STEPS)
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else str(found)
