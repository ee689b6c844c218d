"""From the forecast log to the lake: every logged forecast in `forecasts`, its receipt in `receipts`, exactly once."""

import json
import logging
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from lake.errors import ConfigError
from lake.report import Report
from lake.spec import INSTANT
from lake.tables import FORECASTS, RECEIPTS
from serving.access.user_data import forget_unknown
from serving.receipts.seals import opened
from serving.stored.log_files import log_paths, open_log

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake

logger = logging.getLogger("quantlake.serving")

DRAIN_ROWS = 20_000
INSTANTS = tuple(name for name, dtype in FORECASTS.schema.items() if dtype == INSTANT)
NO_LOG, NOTHING_WAITS = "the service has not answered yet", "every answer is in the lake already"


def drain(lake: "Lake", configured: "Settings") -> Report:
    """Bring every logged forecast into the table `forecasts`, and its receipt into `receipts`, exactly once.

    Rows are merged first and marked afterwards. A process killed in between leaves rows that are stored but not
    marked; the next drain merges them again, finds them equal to what is stored, and adds nothing. Who asked for a
    forecast is forgotten here too where the key was deleted meanwhile.

    Returns
    -------
    Report
        Of `forecasts`; skipped when no answer was waiting.
    """
    started = time.perf_counter()
    paths = log_paths(configured)
    drained = [_drain_file(lake, path) for path in paths]
    _forget(configured)
    read, added = (sum(counts) for counts in zip(*drained, strict=True)) if drained else (0, 0)
    if not read:
        reason = NOTHING_WAITS if paths else NO_LOG
        seconds = time.perf_counter() - started
        return Report(name=FORECASTS.name, seconds=seconds, skipped=True, details={"reason": reason})
    return lake.report(FORECASTS, added=added, started=started).having(answers=read)


def _forget(configured: "Settings") -> None:
    """Forget who asked where the key was deleted; forecasts are in the lake whether or not the keys can be read."""
    try:
        forget_unknown(configured)
    except ConfigError:
        logger.exception("who asked with a deleted key could not be forgotten; the next drain tries again")


def _drain_file(lake: "Lake", path: Path) -> tuple[int, int]:
    """Bring in one file; how many forecasts waited, and how many were new to the lake."""
    read, added = 0, 0
    with closing(open_log(path)) as connection:
        while waiting := unread(connection, DRAIN_ROWS):
            rows = as_rows([row for _, row, _ in waiting])
            lake.merge(RECEIPTS, as_receipts(rows, [receipt for *_, receipt in waiting]))
            added += lake.merge(FORECASTS, rows).added
            mark_read(connection, [sequence for sequence, *_ in waiting])
            read += len(waiting)
    return read, added


def unread(connection: sqlite3.Connection, limit: int) -> list[tuple[int, str, str]]:
    """Sequence number, row and receipt of the oldest forecasts that are not marked as being in the lake."""
    return connection.execute(
        "SELECT sequence, row, receipt FROM logged WHERE is_in_lake = 0 ORDER BY sequence LIMIT ?", (limit,)
    ).fetchall()


def mark_read(connection: sqlite3.Connection, sequences: Sequence[int]) -> None:
    """Mark forecasts as being in the lake."""
    with connection:
        connection.executemany("UPDATE forecasts SET is_in_lake = 1 WHERE sequence = ?", [(s,) for s in sequences])


def as_rows(texts: Sequence[str]) -> pl.DataFrame:
    """Logged rows as a frame of the table `forecasts`; numbers come back to the last bit."""
    rows = [json.loads(text) for text in texts]
    for row in rows:
        for name in INSTANTS:
            row[name] = datetime.fromisoformat(row[name])
    return pl.DataFrame(rows, schema=FORECASTS.schema, orient="row")


def as_receipts(rows: pl.DataFrame, texts: Sequence[str]) -> pl.DataFrame:
    """Receipts of logged rows as a frame of the table `receipts`; those of before there were any have none."""
    parted = [opened(text) if text else ("", "") for text in texts]
    contents, seals = ([part[place] for part in parted] for place in (0, 1))
    found = rows.select("forecast_id", "event_time", "known_time").with_columns(
        pl.Series("content", contents, dtype=pl.String), pl.Series("seal", seals, dtype=pl.String)
    )
    return found.filter(pl.col("content") != "")
