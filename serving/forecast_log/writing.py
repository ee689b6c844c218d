"""Writes the forecast log: every answer is on disk before it is sent."""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import LogError
from serving.forecast_log.damage import is_damage, set_aside_damaged
from serving.forecast_log.log_files import NEWEST_VERSION, take_slot
from serving.forecast_log.process_file import KeptFile
from serving.forecast_log.shared_parts import INSERT, KEEP, Parted, parted
from serving.monitoring import metrics

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lake.settings import Settings

ASKED = "INSERT INTO requests (forecast_id, key_id) VALUES (?, ?)"

PROBE = f"PRAGMA user_version = {NEWEST_VERSION}"
"""Writes what is there already."""
TURN_SECONDS = 10.0
"""Longest wait of a thread for the others that write."""
ADVICE = "No answer was sent. Check the disk under QUANTLAKE_HOME."

logger = logging.getLogger("quantlake.serving")


@dataclass(frozen=True)
class LogEntry:
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


class ForecastLog:
    """Answers of one process, written to a SQLite file of its own. Safe for threads, which write one after the other.

    The composing thread writes: forecasts that arrive while a batch waits for the disk form the next batch, so
    throughput does not end at one disk flush per answer.

    Parameters
    ----------
    path
        SQLite file; made when it does not exist.
    lock
        Keeps other processes from the file; let go by `close`.
    on_commit
        Told what has been written by the thread that wrote it. What it raises is logged and changes nothing.
    """

    def __init__(
        self,
        path: Path,
        lock: "AbstractContextManager[Any] | None" = None,
        on_commit: Callable[[Sequence[LogEntry]], None] | None = None,
    ) -> None:
        self.path, self.on_commit = path, on_commit
        self._lock = lock
        self._file: KeptFile | None = KeptFile(path)
        self._turn = threading.Lock()

    @classmethod
    def open(
        cls, configured: "Settings", on_commit: Callable[[Sequence[LogEntry]], None] | None = None
    ) -> "ForecastLog":
        """Open a file that no other process writes to."""
        set_aside_damaged(configured)
        path, lock = take_slot(configured)
        return cls(path, lock, on_commit)

    def write(self, entries: Sequence[LogEntry]) -> None:
        """Write forecasts together; they are on disk when it returns.

        Raises
        ------
        LogError
            If they could not be written, or not in time; none of them is there then.
        ValueError
            If a number is not finite; an entry that brings its `row_text` was looked at when that was made.
        """
        parts: dict[bytes, str] = {}
        values = [_as_values(entry, parts) for entry in entries]
        asked = [(entry.row["forecast_id"], entry.key_id) for entry in entries if entry.key_id]
        with self._in_turn() as file:
            _commit(file, values, asked, parts)
        self._tell(entries)

    def require_writable(self) -> None:
        """Write something that leaves no trace; it fails with `LogError` where a forecast would now.

        A log that could not be written for a while is found to be in order again by this, or by the next forecast.
        """
        with self._in_turn() as file:
            _commit(file, [], [], {})

    def close(self) -> None:
        """Close the file after pending writes; later writes are refused."""
        try:
            with self._turn:
                file, self._file = self._file, None
                if file is not None:
                    file.close()
        finally:
            if self._lock is not None:
                self._lock.__exit__(None, None, None)
                self._lock = None

    @contextmanager
    def _in_turn(self) -> Iterator[KeptFile]:
        if not self._turn.acquire(timeout=TURN_SECONDS):
            raise LogError(f"The forecast log took nothing for {TURN_SECONDS:.0f} s. {ADVICE}")
        try:
            if self._file is None:
                raise LogError(f"The forecast log is closed: this process ends. {ADVICE}")
            yield self._file
        finally:
            self._turn.release()

    def _tell(self, written: Sequence[LogEntry]) -> None:
        try:
            metrics.count_logged(entry.row for entry in written)
            if self.on_commit is not None and written:
                self.on_commit(written)
        except Exception:
            logger.exception("what follows a logged forecast failed; the forecasts stand")


def _commit(
    file: KeptFile, values: Sequence[Parted], asked: Sequence[tuple[str, str]], parts: Mapping[bytes, str]
) -> None:
    """Write together; where the file turns out to be damaged a new one begins, and takes the rows."""
    try:
        try:
            _put(file, values, asked, parts)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            file.give_up(error)
            _put(file, values, asked, parts)
    except (sqlite3.Error, OSError) as error:
        raise LogError(f"The forecast log cannot be written: {error}. {ADVICE}") from error


def _put(
    file: KeptFile, values: Sequence[Parted], asked: Sequence[tuple[str, str]], parts: Mapping[bytes, str]
) -> None:
    with file.connection() as connection:
        if not values:
            connection.execute("BEGIN")
            connection.execute(PROBE)
        connection.executemany(KEEP, parts.items())
        connection.executemany(INSERT, values)
        connection.executemany(ASKED, asked)


def _as_values(entry: LogEntry, parts: dict[bytes, str]) -> Parted:
    row = entry.row_text or row_as_json(entry.row)
    return parted(entry.row["forecast_id"], row, entry.answer, entry.receipt, parts)


def row_as_json(values: Mapping[str, Any]) -> str:
    """Row of `forecasts`, or a part of one, as the log keeps it; a number that is not finite is a `ValueError`."""
    return json.dumps(values, allow_nan=False, default=_instant_to_text, separators=(",", ":"))


def _instant_to_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a forecast")
