"""The forecast log: every answer on disk before it is sent; read by `serving.log_reading`, emptied by `draining`."""

import json
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import LogError
from serving import metrics
from serving.log_files import NEWEST_VERSION, open_log, take_slot
from serving.log_keeping import KeptFile

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lake.settings import Settings

GROUP_ENTRIES = 256
INSERT = "INSERT INTO forecasts (forecast_id, row, answer, receipt) VALUES (?, ?, ?, ?)"
ASKED = "INSERT INTO requests (forecast_id, key_id) VALUES (?, ?)"

PROBE = f"PRAGMA user_version = {NEWEST_VERSION}"
"""Writes what is there already."""
PROBE_SECONDS = 10.0

logger = logging.getLogger("quantlake.serving")


@dataclass(frozen=True)
class Entry:
    """One forecast to be logged.

    Parameters
    ----------
    row
        Row of the table `forecasts`, instants as `datetime` in UTC.
    answer
        The answer, as JSON, exactly as it will be sent.
    receipt
        What it was made from, as JSON.
    key_id
        API key it was asked with; kept beside the forecast, where it can be deleted; empty where nobody asked.
    row_text
        The row as `row_as_json` writes it, for who has it already.
    """

    row: Mapping[str, Any]
    answer: str
    receipt: str = ""
    key_id: str = ""
    row_text: str = ""


Values = tuple[str, str, str, str]
Group = tuple[Sequence[Entry], list[Values], "Future[None]"]


class ForecastLog:
    """Answers of one process, written to a SQLite file of its own.

    One thread writes. While it waits for the disk, further answers queue up and share the next commit (group commit),
    so throughput does not end at one disk flush per answer.

    Parameters
    ----------
    path
        SQLite file; made when it does not exist.
    lock
        Keeps other processes from the file; let go by `close`.
    on_commit
        Told what has been written, in order, by the thread that wrote it. What it raises is logged and changes nothing.
    """

    def __init__(
        self,
        path: Path,
        lock: "AbstractContextManager[Any] | None" = None,
        on_commit: Callable[[Sequence[Entry]], None] | None = None,
    ) -> None:
        self.path, self.on_commit = path, on_commit
        self._lock = lock
        open_log(path).close()
        self._queue: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="forecast-log", daemon=True)
        self._writer.start()

    @classmethod
    def open(cls, configured: "Settings", on_commit: Callable[[Sequence[Entry]], None] | None = None) -> "ForecastLog":
        """Open a file that no other process writes to."""
        path, lock = take_slot(configured)
        return cls(path, lock, on_commit)

    def record(self, entries: Sequence[Entry]) -> "Future[None]":
        """Queue forecasts to be written together; the future is done when they are on disk.

        It fails with `LogError` if they could not be written; none of them is there then. A number that is not finite
        is a `ValueError` at once.
        """
        values = [_as_values(entry) for entry in entries]
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # from here on a caller that gives up cannot break the writer
        self._queue.put((entries, values, done))
        return done

    def require_writable(self) -> None:
        """Write something that leaves no trace; it fails with `LogError` where a forecast would now.

        A log that could not be written for a while is found to be in order again by this, or by the next forecast.
        """
        try:
            self.record([]).result(PROBE_SECONDS)
        except TimeoutError as error:
            raise LogError(f"The forecast log was not written to within {PROBE_SECONDS:.0f} s.") from error

    def close(self) -> None:
        """Write what is queued and stop."""
        self._queue.put(None)
        self._writer.join()
        if self._lock is not None:
            self._lock.__exit__(None, None, None)

    def _write(self) -> None:
        with closing(KeptFile(self.path)) as file:
            is_last = False
            while not is_last and (first := self._queue.get()) is not None:
                groups = [first]
                while len(groups) < GROUP_ENTRIES and not is_last:
                    try:
                        following = self._queue.get_nowait()
                    except queue.Empty:
                        break
                    if following is None:
                        is_last = True
                    else:
                        groups.append(following)
                _commit(file, groups)
                self._tell(groups)

    def _tell(self, groups: Sequence[Group]) -> None:
        written = [entry for entries, _, done in groups if done.exception() is None for entry in entries]
        try:
            metrics.count_logged(written)
            if self.on_commit is not None and written:
                self.on_commit(written)
        except Exception:
            logger.exception("what follows a logged forecast failed; the forecasts stand")


def _commit(file: KeptFile, groups: Sequence[Group]) -> None:
    try:
        with file.connection() as connection:
            if not all(values for _, values, _ in groups):
                connection.execute("BEGIN")
                connection.execute(PROBE)
            connection.executemany(INSERT, [row for _, values, _ in groups for row in values])
            connection.executemany(ASKED, [pair for entries, *_ in groups for pair in _asked(entries)])
    except (sqlite3.Error, OSError) as error:
        problem = LogError(
            f"The forecast log cannot be written: {error}. No answer was sent. Check the disk under QUANTLAKE_HOME."
        )
        for *_, done in groups:
            done.set_exception(problem)
        return
    for *_, done in groups:
        done.set_result(None)


def _asked(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Forecast and key of those that somebody asked for."""
    return [(entry.row["forecast_id"], entry.key_id) for entry in entries if entry.key_id]


def _as_values(entry: Entry) -> Values:
    return entry.row["forecast_id"], entry.row_text or row_as_json(entry.row), entry.answer, entry.receipt


def row_as_json(values: Mapping[str, Any]) -> str:
    """Row of `forecasts`, or a part of one, as the log keeps it; a number that is not finite is a `ValueError`."""
    return json.dumps(values, allow_nan=False, default=_instant_to_text, separators=(",", ":"))


def _instant_to_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a forecast")
