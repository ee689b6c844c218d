"""Whether a file is a whole SQLite database."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

HEADER = b"SQLite format 3\0"
BUSY_SECONDS = 2.0
QUICK_BYTES = 256 << 20
"""A larger file is checked page by page only by ``--deep``: SQLite reads about a gigabyte in two seconds."""


def fault_of_sqlite(path: Path, *, is_deep: bool = False) -> str | None:
    """Say what is wrong with a database; None where nothing is, or where it is in use and cannot be looked at now.

    The file is opened for reading alone, beside the processes that write to it.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as content:
            is_sqlite = content.read(len(HEADER)) == HEADER
    except FileNotFoundError:
        return None
    if not is_sqlite:
        return "it does not begin as an SQLite file does" if size else "it is empty"
    return None if size > QUICK_BYTES and not is_deep else _fault_of_pages(path)


def _fault_of_pages(path: Path) -> str | None:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as database:
            found = "; ".join(str(row[0]) for row in database.execute("PRAGMA quick_check(3)"))
    except sqlite3.DatabaseError as error:
        is_busy = error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN}
        return None if is_busy else f"SQLite says: {error}"
    return None if found == "ok" else f"SQLite says: {found.splitlines()[0]}"
