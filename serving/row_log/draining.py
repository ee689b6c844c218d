"""Drains a row log into its table: each row exactly once."""

import sqlite3
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from lake.errors import SchemaError
from lake.report import Report
from serving.row_log.log_file import IN_LAKE, SET_APART, WAITING, RowLog, opened_log, row_log_path
from serving.row_log.rows import frame_from_json

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake

DRAINED_AT_ONCE = 1_000


def drain_rows(log: RowLog, lake: "Lake", configured: "Settings", now: datetime | None = None) -> Report:
    """Merge every logged row into the lake, and delete from the log what has been there for its retention.

    Rows are merged first and marked afterwards: a process killed in between leaves rows that the next drain merges
    again, finds stored, and adds nothing. Before a row is deleted the lake is asked whether it holds it; one that it
    does not hold, as after a restore, is merged again.

    Parameters
    ----------
    now
        Wall-clock time, by default that of this machine.

    Returns
    -------
    Report
        Of the table; skipped when no row waited. ``warnings`` count rows that do not fit the table.
    """
    started = time.perf_counter()
    added = refused = 0
    waiting_rows = f"SELECT sequence, row FROM {log.spec.name} WHERE state = ? ORDER BY sequence LIMIT ?"  # noqa: S608 - declared names
    if row_log_path(log, configured).exists():
        before = (now or datetime.now(UTC)) - timedelta(hours=configured.log_retention_hours)
        with opened_log(log, configured) as connection:
            _prune(log, lake, connection, before)
            while waiting := connection.execute(waiting_rows, (WAITING, DRAINED_AT_ONCE)).fetchall():
                frames, unfit = _frames(log, waiting)
                added += lake.merge(log.spec, pl.concat(frames.values())).added if frames else 0
                _mark(log, connection, frames, IN_LAKE)
                _mark(log, connection, unfit, SET_APART)
                refused += len(unfit)
    seconds = time.perf_counter() - started
    report = Report(log.spec.name, rows=added, added=added, seconds=seconds, skipped=not added)
    if not added:
        report = report.with_details(reason=f"no {log.noun} waits")
    return report.with_details(warnings=(_not_fitting(log, refused),) if refused else ())


def _frames(log: RowLog, waiting: list[tuple[int, str]]) -> tuple[dict[int, pl.DataFrame], list[int]]:
    """Logged rows as the table takes them, by sequence number, and the numbers of those that do not fit it."""
    frames, unfit = dict[int, pl.DataFrame](), list[int]()
    for sequence, text in waiting:
        try:
            frames[sequence] = frame_from_json(log, text)
        except SchemaError:
            unfit.append(sequence)
    return frames, unfit


def _mark(log: RowLog, connection: sqlite3.Connection, sequences: Iterable[int], state: int) -> None:
    mark = f"UPDATE {log.spec.name} SET state = ? WHERE sequence = ?"  # noqa: S608 - declared names
    with connection:
        connection.executemany(mark, [(state, sequence) for sequence in sequences])


def _prune(log: RowLog, lake: "Lake", connection: sqlite3.Connection, before: datetime) -> None:
    """Delete rows made before an instant that the lake holds; those that it does not hold wait again."""
    table, key = log.spec.name, log.key
    asked = f"SELECT sequence, {key} FROM {table} WHERE state = ? AND made_at < ?"  # noqa: S608 - declared names
    old = connection.execute(asked, (IN_LAKE, before.isoformat())).fetchall()
    if not old:
        return
    is_old = pl.col(key).is_in([row_id for _, row_id in old])
    held = (
        set(lake.scan_all(log.spec).filter(is_old).select(key).collect().to_series())
        if lake.exists(log.spec)
        else set[str]()
    )
    _mark(log, connection, [sequence for sequence, each in old if each not in held], WAITING)
    with connection:
        connection.executemany(
            f"DELETE FROM {table} WHERE sequence = ?",  # noqa: S608 - declared names
            [(sequence,) for sequence, each in old if each in held],
        )


def _not_fitting(log: RowLog, refused: int) -> str:
    return (
        f"{refused} logged {log.noun}s do not fit the table '{log.spec.name}'. They stay in the {log.noun} log "
        f"with state {SET_APART}; look at their column `row` there."
    )
