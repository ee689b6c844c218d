"""Quarantine: logged forecasts kept out of the lake, with their original bytes, the reason, and the decision.

A SQLite file of its own beside the log, so a damaged log file does not take it along. An entry is never deleted.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from lake.disk import OWNER_ONLY
from lake.errors import LogError, UnknownNameError
from serving.forecast_log.log_files import BUSY_SECONDS
from serving.forecast_log.verifying import Logged

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings

FILE = "forecast_quarantine.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE,
    file TEXT NOT NULL, sequence INTEGER NOT NULL, forecast_id BLOB,
    row BLOB, answer BLOB, receipt BLOB,
    reason TEXT NOT NULL, found_at TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', decided_at TEXT, decided_by TEXT, note TEXT
)"""
COLUMNS = "id, file, sequence, forecast_id, row, answer, receipt, reason, found_at, state, decided_at, decided_by, note"
PUT = """
INSERT OR IGNORE INTO quarantine (digest, file, sequence, forecast_id, row, answer, receipt, reason, found_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
DECIDE = "UPDATE quarantine SET state = ?, decided_at = ?, decided_by = ?, note = ? WHERE id = ?"

State = Literal["waiting", "released", "withdrawn"]


@dataclass(frozen=True)
class QuarantinedForecast:
    """One forecast in quarantine.

    Parameters
    ----------
    id
        Number by which the commands name it.
    file
        File of the log it was found in.
    logged
        Its texts as they were found, a byte that is no UTF-8 as a lone surrogate.
    reason
        Why it was not let into the lake.
    found_at
        Wall-clock time.
    state
        ``waiting`` until a person decides; ``released`` into the lake; ``withdrawn`` for good.
    decided_at, decided_by, note
        When, who and why; None before.
    """

    id: int
    file: str
    logged: Logged
    reason: str
    found_at: datetime
    state: State
    decided_at: datetime | None
    decided_by: str | None
    note: str | None


def quarantine_path(configured: "Settings") -> "Path":
    """File of the quarantine; it is made with the first entry."""
    return configured.home / FILE


def put(configured: "Settings", file: str, found: Sequence[tuple[Logged, str]]) -> int:
    """Quarantine forecasts, durably and idempotently.

    Parameters
    ----------
    file
        File of the log they were found in.
    found
        Each forecast with the reason.

    Returns
    -------
    int
        How many are new.
    """
    if not found:
        return 0
    now = datetime.now(UTC).isoformat()
    with _opened(configured) as connection:
        before = connection.total_changes
        connection.executemany(PUT, [_values(file, logged, reason, now) for logged, reason in found])
        return connection.total_changes - before


def quarantined_forecasts(configured: "Settings", state: State | None = None) -> list[QuarantinedForecast]:
    """Every entry, or those of one state, the oldest first."""
    if not quarantine_path(configured).exists():
        return []
    with _opened(configured) as connection:
        query = f"SELECT {COLUMNS} FROM quarantine WHERE ?1 IS NULL OR state = ?1 ORDER BY id"  # noqa: S608 - own names
        return [_entry(row) for row in connection.execute(query, (state,))]


def find(configured: "Settings", number: int) -> QuarantinedForecast:
    """Return one entry.

    Raises
    ------
    UnknownNameError
        If there is none of that number.
    """
    entries = quarantined_forecasts(configured)
    found = next((entry for entry in entries if entry.id == number), None)
    if found is None:
        raise UnknownNameError("forecast in quarantine", str(number), [str(entry.id) for entry in entries])
    return found


def decide(configured: "Settings", number: int, state: State, *, by: str, note: str) -> None:
    """Write down what was decided about an entry."""
    with _opened(configured) as connection:
        connection.execute(DECIDE, (state, datetime.now(UTC).isoformat(), by, note, number))


@contextmanager
def _opened(configured: "Settings") -> Iterator[sqlite3.Connection]:
    """The file, created if missing; the block is one transaction."""
    path = quarantine_path(configured)
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        try:
            path.chmod(OWNER_ONLY)
            connection.execute("PRAGMA synchronous = FULL")
            with connection:
                connection.execute(SCHEMA)
                yield connection
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise LogError(
            f"The quarantine of the forecast log, {path}, cannot be used: {error}. Nothing was drained into it. "
            "Restore it from a backup, or move it away: the next drain begins a new one."
        ) from error


def _values(file: str, logged: Logged, reason: str, now: str) -> tuple[object, ...]:
    raw = [_bytes(text) for text in logged[1:]]
    content = b"\0".join([file.encode(), str(logged.sequence).encode(), *(part or b"" for part in raw)])
    return hashlib.sha256(content).digest(), file, logged.sequence, *raw, reason, now


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def _entry(row: tuple[object, ...]) -> QuarantinedForecast:
    number, file, sequence, *raw = row[:7]
    reason, found_at, state, decided_at, *rest = row[7:]
    texts = [None if part is None else bytes(part).decode("utf-8", "surrogateescape") for part in raw]  # type: ignore[call-overload]
    times = [None if at is None else datetime.fromisoformat(str(at)) for at in (found_at, decided_at)]
    return QuarantinedForecast(number, file, Logged(sequence, *texts), reason, times[0], state, times[1], *rest)  # type: ignore[arg-type]
