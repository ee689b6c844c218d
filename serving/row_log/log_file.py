"""A declared row log: its file, and how it is opened."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lake.disk import OWNER_ONLY
from lake.errors import LogError

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings
    from lake.spec import TableSpec

BUSY_SECONDS = 10.0
"""Longest wait for another process that writes."""
WAITING, IN_LAKE, SET_APART = 0, 1, 2
"""Values of `state`: not drained yet; in the lake; does not fit the table, and is kept in the log."""


@dataclass(frozen=True)
class RowLog:
    """A log of rows that are answered, declared.

    Parameters
    ----------
    spec
        Table that its rows go to; its key is one column, and it has the columns ``forecast_id`` and ``made_at``.
    noun
        What a row is, in one English word; the file is ``{noun}_log.sqlite``.
    """

    spec: "TableSpec"
    noun: str

    @property
    def file(self) -> str:
        """Name of its file within a home."""
        return f"{self.noun}_log.sqlite"

    @property
    def key(self) -> str:
        """Column that identifies a row."""
        (name,) = self.spec.key
        return name

    @property
    def schema(self) -> tuple[str, ...]:
        """Statements that make its tables; `asked` holds whose key a row was made for, apart from the row."""
        return (
            (
                f"CREATE TABLE IF NOT EXISTS {self.spec.name} (sequence INTEGER PRIMARY KEY AUTOINCREMENT, "
                f"{self.key} TEXT NOT NULL UNIQUE, forecast_id TEXT NOT NULL, made_at TEXT NOT NULL, "
                "row TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0)"
            ),
            f"CREATE INDEX IF NOT EXISTS of_forecast ON {self.spec.name} (forecast_id)",
            "CREATE TABLE IF NOT EXISTS asked (id TEXT PRIMARY KEY, key_id TEXT NOT NULL) WITHOUT ROWID",
            "CREATE INDEX IF NOT EXISTS of_key ON asked (key_id)",
        )


def row_log_path(log: RowLog, configured: "Settings") -> "Path":
    """Return where the log of a home lies; it is made by the first row."""
    return configured.home / log.file


@contextmanager
def opened_log(log: RowLog, configured: "Settings") -> Iterator[sqlite3.Connection]:
    """Open a log in write-ahead mode while a block lasts; it is made where it is not there.

    A commit returns when its rows would survive a loss of power (``synchronous=FULL``).

    Raises
    ------
    LogError
        If the file cannot be read or written.
    """
    path = row_log_path(log, configured)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=OWNER_ONLY)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            for statement in log.schema:
                connection.execute(statement)
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise LogError(
            f"The {log.noun} log {path} cannot be used: {error}. Check the disk under QUANTLAKE_HOME; a damaged file "
            f"can be moved away together with those beside it, and the next {log.noun} begins a new one."
        ) from error
