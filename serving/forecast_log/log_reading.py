"""Reads the forecast log over the files of all processes: by id, the newest, and what is new."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from serving.forecast_log.connections import OpenLogs
from serving.forecast_log.log_files import LAST, SET_APART

if TYPE_CHECKING:
    from lake.settings import Settings

LOOK_SECONDS = 1.0
"""How often a tail looks for files of processes that have begun to write."""
TAIL_ROWS = 10_000
ANSWERABLE = f"kind <> 'shadow' AND is_in_lake <> {SET_APART}"
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
        return next(filter(None, self._everywhere(f"forecast_id = ? AND is_in_lake <> {SET_APART}", forecast_id)), None)

    def newest(self, symbol: str, horizon: int) -> Stored | None:
        """Return the last logged forecast of a symbol, those of a challenger left out."""
        newest = f"{ANSWERABLE} AND symbol = ? AND horizon_sessions = ? ORDER BY sequence DESC"
        found = self._everywhere(newest, symbol, horizon)
        return max(filter(None, found), key=lambda stored: stored.made_at, default=None)

    def count(self) -> int:
        """Number of forecasts in the log."""
        return sum(c.execute("SELECT count(*) FROM forecasts").fetchone()[0] for c in self._logs().current().values())

    def _everywhere(self, where: str, *values: object) -> Iterator[Stored | None]:
        logs = self._logs()
        for path, connection in logs.current().items():
            try:
                yield _one(path, connection, where, *values)
            except sqlite3.DatabaseError as error:
                logs.lose(path, error)

    def _logs(self) -> OpenLogs:
        if not hasattr(self._mine, "files"):
            self._mine.files = OpenLogs(self.configured)
        files: OpenLogs = self._mine.files
        return files


class LogTail:
    """Reader of forecasts logged since its last read, in the order of each file. Not thread-safe.

    Parameters
    ----------
    configured
        Say in which home. What is logged before the tail is made is not news.
    """

    def __init__(self, configured: "Settings") -> None:
        self._logs = OpenLogs(configured)
        self._files: dict[Path, sqlite3.Connection] = {}
        self._read_up_to: dict[Path, int] = {}
        self._changed: dict[Path, int] = {}
        self._look_at = 0.0
        self._look(are_new=False)

    def read(self) -> list[Stored]:
        """Return the news, in the order in which it was made; if one file cannot be read, no file counts as read."""
        self._look(are_new=True)
        looked = list(self._looked())
        for path, version, found in looked:
            if found:
                self._read_up_to[path] = found[-1].sequence
            if len(found) < TAIL_ROWS:
                self._changed[path] = version
        news = [stored for *_, found in looked for stored in found]
        return news if len(self._files) == 1 else sorted(news, key=lambda stored: stored.made_at)

    def close(self) -> None:
        """Close the files."""
        self._logs.close()

    def _looked(self) -> Iterator[tuple[Path, int, list[Stored]]]:
        """Each file with its state and new rows; a damaged one is moved aside and no longer followed."""
        for path, connection in list(self._files.items()):
            try:
                yield path, *self._news(path, connection)
            except sqlite3.DatabaseError as error:
                self._logs.lose(path, error)
                del self._files[path]

    def _look(self, *, are_new: bool) -> None:
        """Find the files there are; one that was moved, removed or made anew is another file from now on."""
        if (now := time.monotonic()) < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        current = self._logs.current()
        self._files = {path: held for path, held in self._files.items() if current.get(path) is held}
        for path, connection in current.items():
            if path not in self._files:
                self._begin(path, connection, are_new=are_new)

    def _begin(self, path: Path, connection: sqlite3.Connection, *, are_new: bool) -> None:
        """Follow a file; one that takes the place of another counts on where that one ended, unless it began anew."""
        last = connection.execute(LAST).fetchone()[0]
        read = self._read_up_to.get(path, 0)
        goes_on = read if read <= last else 0
        self._read_up_to[path] = goes_on if are_new else last
        self._changed.pop(path, None)
        self._files[path] = connection

    def _news(self, path: Path, connection: sqlite3.Connection) -> tuple[int, list[Stored]]:
        """Unread rows of a file, and its state at the time of reading."""
        # Changes with every commit of another connection, and costs less than a question.
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._changed.get(path):
            return version, []
        return version, _rows(path, connection, "sequence > ? ORDER BY sequence", self._read_up_to[path])


def _one(path: Path, connection: sqlite3.Connection, where: str, *values: object) -> Stored | None:
    found = _rows(path, connection, where, *values, limit=1)
    return found[0] if found else None


def _rows(
    path: Path, connection: sqlite3.Connection, where: str, *values: object, limit: int = TAIL_ROWS
) -> list[Stored]:
    """Forecasts of one file; the conditions are those of this module, values are bound."""
    query = f"SELECT {COLUMNS} FROM logged WHERE {where} LIMIT {limit}"  # noqa: S608 - fixed texts of this module
    return [Stored(path.name, *row) for row in connection.execute(query, values).fetchall()]
