"""File of the explanation log, and how it is opened."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from lake.disk import OWNER_ONLY
from lake.errors import LogError

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings

FILE = "explanation_log.sqlite"
BUSY_SECONDS = 10.0
"""Longest wait for another process that writes."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS explanations (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    explanation_id TEXT NOT NULL UNIQUE,
    forecast_id TEXT NOT NULL,
    made_at TEXT NOT NULL,
    row TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0
)
"""
OF_FORECAST = "CREATE INDEX IF NOT EXISTS of_forecast ON explanations (forecast_id)"
WAITING, IN_LAKE, SET_APART = 0, 1, 2
"""Values of `state`: not drained yet; in the lake; does not fit the table, and is kept in the log."""


def explanation_log_path(configured: "Settings") -> "Path":
    """Return where the log of a home lies; it is made by the first explanation."""
    return configured.home / FILE


@contextmanager
def opened_log(configured: "Settings") -> Iterator[sqlite3.Connection]:
    """Open the log in write-ahead mode while a block lasts; it is made where it is not there.

    A commit returns when its rows would survive a loss of power (``synchronous=FULL``).

    Raises
    ------
    LogError
        If the file cannot be read or written.
    """
    path = explanation_log_path(configured)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=OWNER_ONLY)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(SCHEMA)
            connection.execute(OF_FORECAST)
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise LogError(
            f"The explanation log {path} cannot be used: {error}. Check the disk under QUANTLAKE_HOME; a damaged file "
            "can be moved away together with those beside it, and the next explanation begins a new one."
        ) from error
