"""The forecast log: every answer on disk before it is sent, and later in the lake exactly once."""

import json
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.errors import ModelError
from lake.report import Report
from lake.spec import INSTANT
from lake.tables import FORECASTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lake.settings import Settings
    from lake.store import Lake

FILE = "forecast_log.sqlite"
BUSY_SECONDS = 10.0
GROUP_ENTRIES = 256
DRAIN_ROWS = 20_000
INSTANTS = tuple(name for name, dtype in FORECASTS.schema.items() if dtype == INSTANT)

SCHEMA = """
CREATE TABLE IF NOT EXISTS forecasts (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    forecast_id TEXT NOT NULL UNIQUE,
    row TEXT NOT NULL,
    answer TEXT NOT NULL,
    is_in_lake INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS waiting ON forecasts (sequence) WHERE is_in_lake = 0;
"""

Entry = tuple[str, str, str]
Group = tuple[list[Entry], "Future[None]"]


class ForecastLog:
    """Answers of one service process, written to a SQLite file that several processes may share.

    One thread writes. While it waits for the disk, further answers queue up and share the next commit (group commit),
    so throughput does not end at one disk flush per answer. The file is in write-ahead mode with
    ``synchronous=FULL``: a commit returns when the rows would survive a loss of power.

    Parameters
    ----------
    path
        SQLite file; made when it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(_connect(path)) as connection:
            connection.executescript(SCHEMA)
        self._queue: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="forecast-log", daemon=True)
        self._writer.start()
        self._readers = threading.local()

    @classmethod
    def open(cls, configured: "Settings") -> "ForecastLog":
        """Open the log of these settings."""
        return cls(log_path(configured))

    def record(self, rows: "Sequence[Mapping[str, Any]]", answers: "Sequence[str]") -> "Future[None]":
        """Queue answers to be written together; the future is done when they are on disk.

        Parameters
        ----------
        rows
            One row of the table `forecasts` per answer, instants as `datetime` in UTC.
        answers
            The answers themselves, as JSON, exactly as they will be sent.
        """
        entries = [(row["forecast_id"], _to_json(row), answer) for row, answer in zip(rows, answers, strict=True)]
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # from here on a caller that gives up cannot break the writer
        self._queue.put((entries, done))
        return done

    def get(self, forecast_id: str) -> str | None:
        """Return an answer as it was sent, as JSON, or None when there is none of that id."""
        found = self._reader().execute("SELECT answer FROM forecasts WHERE forecast_id = ?", (forecast_id,)).fetchone()
        return None if found is None else str(found[0])

    def count(self) -> int:
        """How many answers the log holds."""
        number: int = self._reader().execute("SELECT count(*) FROM forecasts").fetchone()[0]
        return number

    def close(self) -> None:
        """Write what is queued and stop."""
        self._queue.put(None)
        self._writer.join()

    def _reader(self) -> sqlite3.Connection:
        if not hasattr(self._readers, "connection"):
            self._readers.connection = _connect(self.path)
        connection: sqlite3.Connection = self._readers.connection
        return connection

    def _write(self) -> None:
        with closing(_connect(self.path)) as connection:
            while (first := self._queue.get()) is not None:
                groups = [first]
                is_last = False
                while len(groups) < GROUP_ENTRIES and not is_last:
                    try:
                        following = self._queue.get_nowait()
                    except queue.Empty:
                        break
                    if following is None:
                        is_last = True
                    else:
                        groups.append(following)
                _commit(connection, groups)
                if is_last:
                    return


def log_path(configured: "Settings") -> Path:
    """File of the forecast log."""
    return configured.home / FILE


def drain(lake: "Lake", configured: "Settings") -> Report:
    """Bring every logged answer into the table `forecasts`, exactly once.

    Rows are merged first and marked afterwards. A process killed in between leaves rows that are stored but not
    marked; the next drain merges them again, finds them equal to what is stored, and adds nothing.

    Returns
    -------
    Report
        Of `forecasts`; skipped when no answer was waiting.
    """
    started = time.perf_counter()
    path = log_path(configured)
    if not path.exists():
        return Report(name=FORECASTS.name, skipped=True, details={"reason": "the service has not answered yet"})
    read, added, report = 0, 0, None
    with closing(_connect(path)) as connection:
        while waiting := unread(connection, DRAIN_ROWS):
            report = lake.merge(FORECASTS, as_rows([row for _, row in waiting]))
            mark_read(connection, [sequence for sequence, _ in waiting])
            read, added = read + len(waiting), added + report.added
    seconds = time.perf_counter() - started
    if report is None:
        return Report(
            name=FORECASTS.name,
            seconds=seconds,
            skipped=True,
            details={"reason": "every answer is in the lake already"},
        )
    return lake.report(FORECASTS, added=added, started=started).having(answers=read)


def unread(connection: sqlite3.Connection, limit: int) -> list[tuple[int, str]]:
    """Sequence number and row of the oldest answers that are not marked as being in the lake."""
    return connection.execute(
        "SELECT sequence, row FROM forecasts WHERE is_in_lake = 0 ORDER BY sequence LIMIT ?", (limit,)
    ).fetchall()


def mark_read(connection: sqlite3.Connection, sequences: "Sequence[int]") -> None:
    """Mark answers as being in the lake."""
    with connection:
        connection.executemany("UPDATE forecasts SET is_in_lake = 1 WHERE sequence = ?", [(s,) for s in sequences])


def as_rows(texts: "Sequence[str]") -> pl.DataFrame:
    """Logged rows as a frame of the table `forecasts`; numbers come back to the last bit."""
    rows = [json.loads(text) for text in texts]
    for row in rows:
        for name in INSTANTS:
            row[name] = datetime.fromisoformat(row[name])
    return pl.DataFrame(rows, schema=FORECASTS.schema, orient="row")


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _commit(connection: sqlite3.Connection, groups: "Sequence[Group]") -> None:
    entries = [entry for group, _ in groups for entry in group]
    try:
        with connection:
            connection.executemany("INSERT INTO forecasts (forecast_id, row, answer) VALUES (?, ?, ?)", entries)
    except sqlite3.Error as error:
        problem = ModelError(
            f"The forecast log cannot be written: {error}. No answer was sent. Check the disk under QUANTLAKE_HOME."
        )
        for _, done in groups:
            done.set_exception(problem)
        return
    for _, done in groups:
        done.set_result(None)


def _to_json(values: "Mapping[str, Any]") -> str:
    return json.dumps(values, allow_nan=False, default=_instant_to_text, separators=(",", ":"))


def _instant_to_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a forecast")
