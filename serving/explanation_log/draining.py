"""Drains the explanation log into the table `explanations`: each row exactly once."""

import sqlite3
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from lake.errors import SchemaError
from lake.report import Report
from lake.tables import EXPLANATIONS
from serving.explanation_log.log_file import IN_LAKE, SET_APART, WAITING, explanation_log_path, opened_log
from serving.explanation_log.rows import frame_from_json

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake

DRAINED_AT_ONCE = 1_000
WAITING_ROWS = "SELECT sequence, row FROM explanations WHERE state = ? ORDER BY sequence LIMIT ?"
MARK = "UPDATE explanations SET state = ? WHERE sequence = ?"
OLD = "SELECT sequence, explanation_id FROM explanations WHERE state = ? AND made_at < ?"
DELETE = "DELETE FROM explanations WHERE sequence = ?"


def drain_explanations(lake: "Lake", configured: "Settings", now: datetime | None = None) -> Report:
    """Merge every logged explanation into the lake, and delete from the log what has been there for its retention.

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
        Of `explanations`; skipped when none waited. ``warnings`` count rows that do not fit the table.
    """
    started = time.perf_counter()
    added = refused = 0
    if explanation_log_path(configured).exists():
        before = (now or datetime.now(UTC)) - timedelta(hours=configured.log_retention_hours)
        with opened_log(configured) as connection:
            _prune(lake, connection, before)
            while waiting := connection.execute(WAITING_ROWS, (WAITING, DRAINED_AT_ONCE)).fetchall():
                frames, unfit = _frames(waiting)
                added += lake.merge(EXPLANATIONS, pl.concat(frames.values())).added if frames else 0
                _mark(connection, frames, IN_LAKE)
                _mark(connection, unfit, SET_APART)
                refused += len(unfit)
    seconds = time.perf_counter() - started
    report = Report(EXPLANATIONS.name, rows=added, added=added, seconds=seconds, skipped=not added)
    if not added:
        report = report.with_details(reason="no explanation waits")
    return report.with_details(warnings=(_not_fitting(refused),) if refused else ())


def _frames(waiting: list[tuple[int, str]]) -> tuple[dict[int, pl.DataFrame], list[int]]:
    """Logged rows as the table takes them, by sequence number, and the numbers of those that do not fit it."""
    frames, unfit = dict[int, pl.DataFrame](), list[int]()
    for sequence, text in waiting:
        try:
            frames[sequence] = frame_from_json(text)
        except SchemaError:
            unfit.append(sequence)
    return frames, unfit


def _mark(connection: sqlite3.Connection, sequences: Iterable[int], state: int) -> None:
    with connection:
        connection.executemany(MARK, [(state, sequence) for sequence in sequences])


def _prune(lake: "Lake", connection: sqlite3.Connection, before: datetime) -> None:
    """Delete rows made before an instant that the lake holds; those that it does not hold wait again."""
    old = connection.execute(OLD, (IN_LAKE, before.isoformat())).fetchall()
    if not old:
        return
    is_old = pl.col("explanation_id").is_in([explanation_id for _, explanation_id in old])
    held = (
        set(lake.scan_all(EXPLANATIONS).filter(is_old).select("explanation_id").collect().to_series())
        if lake.exists(EXPLANATIONS)
        else set[str]()
    )
    _mark(connection, [sequence for sequence, each in old if each not in held], WAITING)
    with connection:
        connection.executemany(DELETE, [(sequence,) for sequence, each in old if each in held])


def _not_fitting(refused: int) -> str:
    return (
        f"{refused} logged explanations do not fit the table '{EXPLANATIONS.name}'. They stay in the explanation log "
        f"with state {SET_APART}; look at their column `row` there."
    )
