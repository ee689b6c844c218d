"""Drains the log into the lake: forecasts into `forecasts`, receipts into `receipts`, exactly once.

Each row is verified on the way (`verifying`). One that does not fit its seal, or contradicts what is stored, goes into
quarantine and stops no other; a file that SQLite cannot read is moved aside, and what can be read of it is drained too.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.disk import file_at, write_private
from lake.errors import ConfigError, ConflictError
from lake.report import Report
from lake.spec import INSTANT, TableSpec
from lake.tables import FORECASTS, RECEIPTS
from serving.forecast_log import damage, quarantine
from serving.forecast_log.log_files import IN_LAKE, SET_APART, WAITING, log_paths, open_log
from serving.forecast_log.salvage import salvage
from serving.forecast_log.user_data import forget_unknown
from serving.forecast_log.verifying import Logged, RowVerdict, verify_logged
from serving.receipts import drain_digest

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake

logger = logging.getLogger("quantlake.serving")

DRAIN_ROWS = 20_000
MARKED_AT_ONCE = 1_000
"""Rows marked in one transaction: a few milliseconds, in which the service cannot write."""
INSTANTS = tuple(name for name, dtype in FORECASTS.schema.items() if dtype == INSTANT)
DATES = tuple(name for name, dtype in FORECASTS.schema.items() if dtype == pl.Date())
NO_LOG, NOTHING_WAITS = "the service has not answered yet", "every answer is in the lake already"
SHOWN = "`quantlake forecasts quarantine list` shows them."


@dataclass
class Drained:
    """Result of a drain.

    Parameters
    ----------
    read
        Forecasts that waited.
    added
        Of these, how many were new to the lake.
    refused
        Of these, how many went into quarantine.
    warnings
        Sentences about damaged files and refused rows.
    """

    read: int = 0
    added: int = 0
    refused: int = 0
    warnings: list[str] = field(default_factory=list)


def drain(lake: "Lake", configured: "Settings") -> Report:
    """Merge every logged forecast into `forecasts`, and its receipt into `receipts`, exactly once.

    Rows are merged first and marked afterwards. A process killed in between leaves rows that are stored but not
    marked; the next drain merges them again, finds them equal to what is stored, and adds nothing. Who asked for a
    forecast is forgotten here too where the key was deleted meanwhile.

    Returns
    -------
    Report
        Of `forecasts`; skipped when no answer was waiting. ``details["quarantined"]`` counts rows that were not let
        in; ``warnings`` say so, and name files of the log that were damaged.
    """
    started = time.perf_counter()
    done = Drained(warnings=damage.set_aside_damaged(configured))
    paths = log_paths(configured)
    for path in paths:
        _drain_file(lake, configured, path, done)
    for path in damage.moved_aside(configured):
        _drain_salvaged(lake, configured, path, done)
    _forget(configured)
    if done.refused:
        done.warnings.append(f"{done.refused} forecasts of the log do not verify and are in quarantine. {SHOWN}")
    if not done.read:
        reason = NOTHING_WAITS if paths else NO_LOG
        seconds = time.perf_counter() - started
        report = Report(name=FORECASTS.name, seconds=seconds, skipped=True, details={"reason": reason})
        return report.with_details(warnings=tuple(done.warnings))
    report = (
        lake.report(FORECASTS, added=done.added, started=started)
        if lake.exists(FORECASTS)
        else Report(FORECASTS.name, seconds=time.perf_counter() - started, skipped=True)
    )
    return report.with_details(warnings=tuple(done.warnings), answers=done.read, quarantined=done.refused)


def _forget(configured: "Settings") -> None:
    """Forget who asked where the key was deleted; forecasts are in the lake whether or not the keys can be read."""
    try:
        forget_unknown(configured)
    except (ConfigError, sqlite3.Error):
        logger.exception("who asked with a deleted key could not be forgotten; the next drain tries again")


def _drain_file(lake: "Lake", configured: "Settings", path: Path, done: Drained) -> None:
    """Drain one file; a file found damaged meanwhile is moved aside, and its rows are salvaged."""
    which = file_at(path)
    try:
        with closing(open_log(path)) as connection:
            # Marks need no flush of their own: rows whose mark a loss of power undoes are merged again, adding nothing.
            connection.execute("PRAGMA synchronous = NORMAL")
            while waiting := waiting_rows(connection, DRAIN_ROWS):
                refused = set(store(lake, configured, path.name, waiting, done))
                mark(connection, [row.sequence for row in waiting if row.sequence not in refused], IN_LAKE)
                mark(connection, sorted(refused), SET_APART)
    except sqlite3.Error as error:
        if damage.is_damage(error):
            warning = damage.set_aside(path, f"is damaged: {error}", which)
        else:
            warning = f"The forecast log {path} cannot be drained now: {error}. The next drain tries again."
            logger.exception(warning)
        done.warnings.append(warning)


def _drain_salvaged(lake: "Lake", configured: "Settings", path: Path, done: Drained) -> None:
    """Drain the readable rows of a damaged file, and write a report beside it; without a report it is retried."""
    found = salvage(path)
    before = Drained(done.read, done.added, done.refused)
    for at in range(0, len(found.rows), DRAIN_ROWS):
        store(lake, configured, path.name, found.rows[at : at + DRAIN_ROWS], done)
    counts = {
        "file": path.name,
        "at": datetime.now(UTC).isoformat(),
        "read": done.read - before.read,
        "new_in_lake": done.added - before.added,
        "quarantined": done.refused - before.refused,
        "unreadable_sequences": found.unreadable[:1_000],
        "is_complete": found.is_complete,
    }
    write_private(path.with_name(f"{path.name}{damage.DONE}"), json.dumps(counts, indent=1))
    lost = "" if found.is_complete and not found.unreadable else " The rest of it cannot be read."
    done.warnings.append(
        f"{counts['read']:,} forecasts were read of the damaged log file {path.name}, {counts['new_in_lake']:,} of "
        f"them new to the lake.{lost} {path.name}{damage.DONE} has the details; both can be kept or deleted."
    )


def store(lake: "Lake", configured: "Settings", file: str, rows: Sequence[Logged], done: Drained) -> list[int]:
    """Verify logged forecasts and merge those that hold; sequence numbers of those that went into quarantine.

    Parameters
    ----------
    file
        Name of the file they come from.
    done
        Takes the counts.
    """
    verdicts = [(row, verify_logged(row)) for row in rows]
    refused = [(row, verdict.fault) for row, verdict in verdicts if verdict.fault]
    good = [(row, verdict) for row, verdict in verdicts if not verdict.fault]
    try:
        added = merge(lake, [verdict for _, verdict in good])
    except ConflictError:
        clashes = _contradicting(lake, good)
        refused += [(row, clashes[row.sequence]) for row, _ in good if row.sequence in clashes]
        added = merge(lake, [verdict for row, verdict in good if row.sequence not in clashes])
    quarantine.put(configured, file, refused)
    done.read, done.added, done.refused = done.read + len(rows), done.added + added, done.refused + len(refused)
    return [row.sequence for row, _ in refused]


def merge(lake: "Lake", verdicts: Iterable[RowVerdict]) -> int:
    """Merge forecasts with their receipts and note their digest on the audit chain; how many are new. Durable."""
    rows, receipts = as_frames(verdicts)
    if not rows.height:
        return 0
    lake.merge(RECEIPTS, receipts)
    added = lake.merge(FORECASTS, rows).added
    drain_digest.record(lake, rows, receipts)
    return added


def as_frames(verdicts: Iterable[RowVerdict]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of `forecasts` and of `receipts`; forecasts of before there were receipts have none."""
    held = [(verdict.row, verdict.receipt) for verdict in verdicts if verdict.row is not None]
    rows = pl.DataFrame([row for row, _ in held], schema=FORECASTS.schema, orient="row")
    named = [
        (row["forecast_id"], row["event_time"], row["known_time"], content, seal)
        for row, (content, seal) in held
        if content
    ]
    return rows, pl.DataFrame(named, schema=RECEIPTS.schema, orient="row")


def _contradicting(lake: "Lake", good: Sequence[tuple[Logged, RowVerdict]]) -> dict[int, str]:
    """Rows that contradict the stored row of their id, or an earlier one of the batch: sequence to reason."""
    ids = [row.forecast_id for row, _ in good]
    stored = {spec.name: _stored(lake, spec, ids) for spec in (FORECASTS, RECEIPTS)}
    clashes: dict[int, str] = {}
    for row, verdict in good:
        frames = dict(zip(stored, as_frames([verdict]), strict=True))
        for name, held in stored.items():
            for values in frames[name].iter_rows(named=True):
                if held.setdefault(row.forecast_id, values) != values:
                    clashes[row.sequence] = f"another row of the same forecast_id is in table '{name}' already"
    return clashes


def _stored(lake: "Lake", spec: TableSpec, ids: Sequence[str | None]) -> "dict[str | None, dict[str, object]]":
    if not lake.exists(spec):
        return {}
    found = lake.scan_all(spec).filter(pl.col("forecast_id").is_in(ids)).collect()
    return {row["forecast_id"]: row for row in found.iter_rows(named=True)}


def waiting_rows(connection: sqlite3.Connection, limit: int) -> list[Logged]:
    """The oldest forecasts that are not marked as being in the lake, whole."""
    query = (
        "SELECT sequence, forecast_id, row, answer, receipt FROM logged "  # noqa: S608 - a number of ours
        f"WHERE is_in_lake = {WAITING} ORDER BY sequence LIMIT ?"
    )
    return [Logged(*row) for row in connection.execute(query, (limit,)).fetchall()]


def mark(connection: sqlite3.Connection, sequences: Sequence[int], state: int) -> None:
    """Mark forecasts as being in the lake or set apart, in transactions so short that no answer waits for one."""
    for at in range(0, len(sequences), MARKED_AT_ONCE):
        with connection:
            connection.executemany(
                "UPDATE forecasts SET is_in_lake = ? WHERE sequence = ?",
                [(state, sequence) for sequence in sequences[at : at + MARKED_AT_ONCE]],
            )


def rows_from_json(texts: Sequence[str]) -> pl.DataFrame:
    """Logged rows as a frame of the table `forecasts`; numbers come back to the last bit."""
    return pl.DataFrame([row_from_json(text) for text in texts], schema=FORECASTS.schema, orient="row")


def row_from_json(text: str) -> dict[str, Any]:
    """Logged row with its instants and dates; one of before some columns were declared lacks them."""
    row: dict[str, Any] = json.loads(text)
    instants = {name: datetime.fromisoformat(row[name]) for name in INSTANTS}
    return row | instants | {name: date.fromisoformat(row[name]) for name in DATES if row.get(name)}
