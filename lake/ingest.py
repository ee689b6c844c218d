"""Sources to tables: fetch what is new, refine it, keep every row either clean or quarantined with its reason."""

import time

import polars as pl

from lake.clock import Clock
from lake.refine.actions import find_actions, withdraw
from lake.refine.bars import refine_bars
from lake.report import Report
from lake.sources.base import BarSource
from lake.store import Lake
from lake.tables import ACTIONS, BARS, QUARANTINE, RAW_BARS


def ingest_bars(lake: Lake, source: BarSource, clock: Clock) -> Report:
    """Append what a source published since its last delivery and up to the market's now, as received."""
    started = time.perf_counter()
    last = None
    if lake.exists(RAW_BARS):
        ours = pl.col("source") == source.name
        last = lake.scan(RAW_BARS).filter(ours).select(pl.col("known_time").max()).collect().item()
    if last is not None and last >= clock.now():
        return lake.report(RAW_BARS, started=started).having(reason=f"'{source.name}' was read up to {last:%Y-%m-%d}")
    batch = source.read(last, clock.now())
    if last is not None and batch.rows.is_empty():
        return lake.report(RAW_BARS, started=started).having(reason=f"'{source.name}' has no bar after {last:%Y-%m-%d}")
    return lake.append(RAW_BARS, batch.rows, batch_id=batch.batch_id).having(
        seconds=time.perf_counter() - started, batch=batch.batch_id
    )


def refine_to_lake(lake: Lake, clock: Clock) -> tuple[Report, Report, Report]:
    """Bring `bars`, `actions` and `quarantine` up to what `raw_bars` holds at the market's now.

    Returns
    -------
    tuple[Report, Report, Report]
        Of `bars`, `actions` and `quarantine`, in that order. Each raw row is in exactly one of the first and the
        last, save that a restatement which repeats what was known adds no bar.
    """
    raw = lake.read_as_of(RAW_BARS, clock.now())
    refined = refine_bars(raw)
    bars = lake.merge(BARS, refined.bars)
    refused = lake.merge(QUARANTINE, refined.quarantine)
    return bars.having(raw_rows=raw.height), _refine_actions(lake, raw, clock), refused


def _refine_actions(lake: Lake, raw: pl.DataFrame, clock: Clock) -> Report:
    found = find_actions(raw)
    if lake.exists(ACTIONS):
        undone = withdraw(lake.read_as_of(ACTIONS, clock.now()), found)
        found = pl.concat([found, undone.with_columns(pl.lit(raw["known_time"].max()).alias("known_time"))])
    return lake.merge(ACTIONS, found)
