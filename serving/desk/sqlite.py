"""The two files of the desk in a home: its own journal, and that of the simulated broker."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from lake.disk import OWNER_ONLY
from lake.errors import LogError

BUSY_SECONDS = 10.0
"""Longest wait for another process that writes."""
JOURNAL_FILE, BROKER_FILE, LOCK_FILE = "desk.sqlite", "paper_broker.sqlite", "desk.lock"


@contextmanager
def opened(path: Path, schema: Sequence[str]) -> Iterator[sqlite3.Connection]:
    """Open a file in write-ahead mode while a block lasts; a commit survives a loss of power.

    Raises
    ------
    LogError
        If it cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=OWNER_ONLY)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            for statement in schema:
                connection.execute(statement)
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise LogError(
            f"The file {path} of the desk cannot be used: {error}. Check the disk under QUANTLAKE_HOME; it comes back "
            "from a backup with `quantlake backup restore`. Nothing is traded without it."
        ) from error
