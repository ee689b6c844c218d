"""Reading the forecast log, over the files of all processes that write: by id, the newest, and what is new."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from serving.log_files import log_paths, open_log

if TYPE_CHECKING:
    from lake.settings import Settings

LOOK_SECONDS = 1.0
"""How often a tail looks for files of processes that have begun to write."""
TAIL_ROWS = 10_000
ANSWERABLE = "kind <> 'shadow'"
COLUMNS = "sequence, forecast_id, symbol, horizon_sessions, kind, row, answer, receipt"


@dataclass(frozen=True)
class Stored:
    """One logged forecast.

    Parameters
    ----------
    file
        File it lies in, by name; sequence numbers count within a file.
    row, answer, receipt
        As they were logged, as JSON; ``receipt`` is empty for what was logged before there were any.
    """

    file: str
    sequence: int
    forecast_id: str
    symbol: str
    horizon_sessions: int
    kind: str
    row: str
    answer: str
    receipt: str

    @property
    def made_at(self) -> datetime:
        """Wall-clock time at which it was made."""
        return datetime.fromisoformat(json.loads(self.row)["made_at"])


class LogReader:
    """Reads every file of the log. Safe for threads: each has connections of its own.

    Parameters
    ----------
    configured
        Say in which home.
    """

    def __init__(self, configured: "Settings") -> None:
        self.configured = configured
        self._mine = threading.local()

    def get(self, forecast_id: str) -> Stored | None:
        """Return one forecast of any kind, or None when there is none of that id."""
        return next(filter(None, self._everywhere("forecast_id = ?", forecast_id)), None)

    def newest(self, symbol: str, horizon: int) -> Stored | None:
        """Return the last logged forecast of a symbol, those of a challenger left out."""
        newest = f"{ANSWERABLE} AND symbol = ? AND horizon_sessions = ? ORDER BY sequence DESC"
        found = self._everywhere(newest, symbol, horizon)
        return max(filter(None, found), key=lambda stored: stored.made_at, default=None)

    def count(self) -> int:
        """How many forecasts the log holds."""
        return sum(c.execute("SELECT count(*) FROM forecasts").fetchone()[0] for c in self._connections().values())

    def _everywhere(self, where: str, *values: object) -> Iterator[Stored | None]:
        return (_one(*opened, where, *values) for opened in self._connections().items())

    def _connections(self) -> dict[Path, sqlite3.Connection]:
        held: dict[Path, sqlite3.Connection] = self._mine.__dict__.setdefault("connections", {})
        for path in log_paths(self.configured):
            if path not in held:
                held[path] = open_log(path)
        return held


class Tail:
    """What has been logged since the last look, in the order of each file. For one thread.

    Parameters
    ----------
    configured
        Say in which home. What is logged before the tail is made is not news.
    """

    def __init__(self, configured: "Settings") -> None:
        self._configured = configured
        self._files: dict[Path, sqlite3.Connection] = {}
        self._read_up_to: dict[Path, int] = {}
        self._changed: dict[Path, int] = {}
        self._look_at = 0.0
        self._look(are_new=False)

    def read(self) -> list[Stored]:
        """Return the news, in the order in which it was made."""
        self._look(are_new=True)
        news = [stored for path in self._files for stored in self._news(path)]
        return news if len(self._files) == 1 else sorted(news, key=lambda stored: stored.made_at)

    def close(self) -> None:
        """Let go of the files."""
        for connection in self._files.values():
            connection.close()

    def _look(self, *, are_new: bool) -> None:
        if (now := time.monotonic()) < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        for path in log_paths(self._configured):
            if path not in self._files:
                self._files[path] = connection = open_log(path)
                last = connection.execute("SELECT coalesce(max(sequence), 0) FROM forecasts").fetchone()[0]
                self._read_up_to[path] = 0 if are_new else last

    def _news(self, path: Path) -> list[Stored]:
        connection = self._files[path]
        # Changes with every commit of another connection, and costs less than a question.
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._changed.get(path):
            return []
        news = _rows(path, connection, "sequence > ? ORDER BY sequence", self._read_up_to[path])
        if news:
            self._read_up_to[path] = news[-1].sequence
        if len(news) < TAIL_ROWS:
            self._changed[path] = version
        return news


def _one(path: Path, connection: sqlite3.Connection, where: str, *values: object) -> Stored | None:
    found = _rows(path, connection, where, *values, limit=1)
    return found[0] if found else None


def _rows(
    path: Path, connection: sqlite3.Connection, where: str, *values: object, limit: int = TAIL_ROWS
) -> list[Stored]:
    """Forecasts of one file; the conditions are those of this module, values are bound."""
    query = f"SELECT {COLUMNS} FROM forecasts WHERE {where} LIMIT {limit}"  # noqa: S608 - fixed texts of this module
    return [Stored(path.name, *row) for row in connection.execute(query, values).fetchall()]
