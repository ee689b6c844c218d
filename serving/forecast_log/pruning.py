"""Prunes the forecast log: drained forecasts are removed after a retention time, while the service writes.

Before a row is deleted the lake is asked whether it holds the forecast and its receipt. A row that is marked and not
there, as after a repair or a restore of the lake, is marked as waiting again, and the next drain brings it in.
"""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
from filelock import FileLock, Timeout

from lake.report import Report
from lake.tables import FORECASTS, RECEIPTS
from serving.forecast_log.damage import is_damage
from serving.forecast_log.draining import mark
from serving.forecast_log.log_files import IN_LAKE, SET_APART, WAITING, log_paths, open_log, size_of
from serving.forecast_log.shared_parts import FORGET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.settings import Settings
    from lake.store import Lake

logger = logging.getLogger("quantlake.serving")

NAME = "forecast_log"
LOOKED_UP = 50_000
"""Forecasts that the lake is asked for at a time."""
DELETED_AT_ONCE = 200
"""Rows deleted in one transaction: a few milliseconds, in which the service cannot write."""
PAGES_AT_ONCE = 50
"""Pages given back to the file system in one transaction."""
REST = 2.0
"""Pause after a transaction, as a multiple of its own time, so that a writer that waits gets its turn."""
PATIENCE_MS, HASTE_MS = 10_000, 50
"""Longest wait for a writer, which costs it nothing; and for readers while the write-ahead log is cut off, during which
no writer goes on. What is left is done by the next prune."""
WORTH_IT = 0.2
"""Share of free pages from which a file of an older version, which cannot give back single pages, is rewritten."""

NEXT = """
SELECT sequence, forecast_id, receipt <> '', is_in_lake, made_at, CASE WHEN json_valid(row) THEN
    json_extract(row, '$.event_time') END
FROM forecasts WHERE sequence > ? ORDER BY sequence LIMIT ?
"""
DELETE = "DELETE FROM forecasts WHERE sequence = ?"
DELETE_REQUEST = "DELETE FROM requests WHERE forecast_id = ?"


class _Row(NamedTuple):
    """Fields of a forecast that a prune reads."""

    sequence: int
    forecast_id: str
    has_receipt: bool
    state: int
    made_at: str | None
    event_time: str | None

    def is_older_than(self, at: datetime) -> bool:
        """Whether a forecast was made before an instant; False if its time is missing."""
        return self.made_at is not None and datetime.fromisoformat(self.made_at) < at


@dataclass
class Pruned:
    """Result of a prune.

    Parameters
    ----------
    deleted
        Forecasts that left the log.
    waiting_again
        Forecasts that were marked as being in the lake and are not: the next drain brings them in.
    bytes_before, bytes_after
        Size of the files, their write-ahead logs included.
    warnings
        Sentences about what could not be done.
    """

    deleted: int = 0
    waiting_again: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    warnings: list[str] = field(default_factory=list)


def prune(lake: "Lake", configured: "Settings", now: datetime | None = None) -> Report:
    """Delete from the log what has been in it for `log_retention_hours` and is in the lake, and give the space back.

    Parameters
    ----------
    now
        Wall-clock time, by default that of this machine; forecasts made before `now` less the retention go.

    Returns
    -------
    Report
        ``rows`` counts forecasts that left. ``details`` has bytes before and after, and how many forecasts wait for the
        lake again because it does not hold them.
    """
    started = time.perf_counter()
    done = Pruned()
    before = (now or datetime.now(UTC)) - timedelta(hours=configured.log_retention_hours)
    paths = log_paths(configured)
    with FileLock(configured.home / "forecast_log.prune.lock") if paths else closing(_Nothing()):
        for path in paths:
            done.bytes_before += size_of(path)
            try:
                _prune_file(lake, path, before, done)
            except sqlite3.Error as error:
                warning = f"The forecast log {path} could not be pruned: {error}. The next drain and prune try again."
                logger.warning(warning)
                done.warnings.append(warning)
            done.bytes_after += size_of(path)
    figures = {name: getattr(done, name) for name in ("waiting_again", "bytes_before", "bytes_after")}
    seconds = time.perf_counter() - started
    report = Report(NAME, rows=done.deleted, seconds=seconds, skipped=not done.deleted, details=figures)
    if not done.deleted:
        hours = configured.log_retention_hours
        report = report.with_details(reason=f"no forecast that is in the lake is older than {hours:g} hours in the log")
    return report.with_details(warnings=tuple(done.warnings))


class _Nothing:
    def close(self) -> None:
        """Nothing to close."""


def _prune_file(lake: "Lake", path: Path, before: datetime, done: Pruned) -> None:
    with closing(open_log(path)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
        # No flush while the writer waits: a deletion that a loss of power undoes is done again by the next prune.
        connection.execute("PRAGMA synchronous = NORMAL")
        last = 0
        while found := [_Row(*row) for row in connection.execute(NEXT, (last, LOOKED_UP))]:
            last = found[-1].sequence
            old = [row for row in found if row.is_older_than(before)]
            if not old:
                break  # what follows was written later
            stored = [row for row in old if row.state == IN_LAKE]
            held = _held(lake, stored)
            missing = [row.sequence for row in stored if row.forecast_id not in held]
            mark(connection, missing, WAITING)
            done.waiting_again += len(missing)
            done.deleted += _delete(connection, [row for row in stored if row.forecast_id in held])
        _forget_parts(connection)
        _give_back(connection, path)


def _held(lake: "Lake", rows: "Sequence[_Row]") -> set[str]:
    """Ids of forecasts that the lake holds, with a receipt where they have one in the log."""
    if not rows:
        return set()
    times = sorted(datetime.fromisoformat(row.event_time) for row in rows if row.event_time)
    ids = [row.forecast_id for row in rows]
    is_wanted = pl.col("event_time").is_between(times[0], times[-1]) & pl.col("forecast_id").is_in(ids)
    forecasts, receipts = (
        set(lake.scan_all(spec).filter(is_wanted).select("forecast_id").collect().to_series())
        if lake.exists(spec)
        else set[str]()
        for spec in (FORECASTS, RECEIPTS)
    )
    return {
        row.forecast_id
        for row in rows
        if row.forecast_id in forecasts and (row.forecast_id in receipts or not row.has_receipt)
    }


def _delete(connection: sqlite3.Connection, rows: "Sequence[_Row]") -> int:
    """Delete forecasts and who asked for them; one whose index entries do not fit it any more is set apart instead."""
    deleted = 0
    for at in range(0, len(rows), DELETED_AT_ONCE):
        part = rows[at : at + DELETED_AT_ONCE]
        try:
            with _resting():
                _delete_part(connection, part)
            deleted += len(part)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            deleted += sum(_delete_or_set_apart(connection, row) for row in part)
    return deleted


@contextmanager
def _resting() -> Iterator[None]:
    """Pause after a transaction for longer than it took."""
    started = time.perf_counter()
    yield
    time.sleep(REST * (time.perf_counter() - started))


def _delete_part(connection: sqlite3.Connection, rows: "Sequence[_Row]") -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(DELETE, [(row.sequence,) for row in rows])
        connection.execute("PRAGMA secure_delete = ON")  # who asked is personal: its bytes go, too
        connection.executemany(DELETE_REQUEST, [(row.forecast_id,) for row in rows])
        connection.execute("PRAGMA secure_delete = OFF")


def _delete_or_set_apart(connection: sqlite3.Connection, row: "_Row") -> bool:
    try:
        _delete_part(connection, [row])
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        mark(connection, [row.sequence], SET_APART)
        return False
    return True


def _forget_parts(connection: sqlite3.Connection) -> None:
    """Delete what no forecast shares any more."""
    deleted = True
    while deleted:
        with _resting(), connection:
            deleted = connection.execute(FORGET, (DELETED_AT_ONCE,)).rowcount > 0


def _give_back(connection: sqlite3.Connection, path: Path) -> None:
    """Return free pages to the file system, and truncate the write-ahead log unless a reader holds it."""
    can_shrink = connection.execute("PRAGMA auto_vacuum").fetchone()[0] != 0
    while can_shrink and connection.execute("PRAGMA freelist_count").fetchone()[0]:
        before = connection.execute("PRAGMA page_count").fetchone()[0]
        with _resting():
            connection.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
        if connection.execute("PRAGMA page_count").fetchone()[0] == before:
            break
    if not can_shrink:
        _rewrite(connection, path)
    connection.execute(f"PRAGMA busy_timeout = {HASTE_MS}")
    for mode in ("PASSIVE", "TRUNCATE"):  # the first does the work, and no writer waits for it
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()


def _rewrite(connection: sqlite3.Connection, path: Path) -> None:
    """Rewrite a file of an older version that no service writes to, so that it can give back pages from then on."""
    free, pages = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
    if free < WORTH_IT * pages:
        return
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.info(
            "a file of an older version keeps its free pages until the service stops", extra={"file": path.name}
        )
        return
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
    finally:
        lock.release()
