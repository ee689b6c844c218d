"""Sources to tables: fetch what is new, refine it, keep every row either clean or quarantined with its reason."""

import time
from collections.abc import Collection
from datetime import UTC, datetime

import polars as pl

from lake.clock import Clock
from lake.errors import SourceError
from lake.refine.actions import find_actions, withdraw
from lake.refine.bars import refine_bars
from lake.report import Report
from lake.sources.base import BarSource
from lake.store import Lake
from lake.tables import ACTIONS, BARS, QUARANTINE, RAW_BARS


def ingest_bars(lake: Lake, source: BarSource, clock: Clock, years: Collection[int] = ()) -> Report:
    """Append what a source published since its last delivery and up to the market's now, as received.

    Parameters
    ----------
    years
        Fetch bars of these years only, one delivery per year; none named means everything that is new.
    """
    started = time.perf_counter()
    spans: list[tuple[datetime | None, datetime]] = [(_new_year(year), _new_year(year + 1)) for year in sorted(years)]
    spans = spans or [(None, clock.now())]
    added = sum(_fetch(lake, source, after, min(until, clock.now())) for after, until in spans)
    report = lake.report(RAW_BARS, added=added, started=started)
    if report.skipped:
        return report.having(reason=f"'{source.name}' has no bar that is not stored, up to {clock.now():%Y-%m-%d}")
    return report


def require_history(lake: Lake, source: BarSource, years: Collection[int]) -> None:
    """Refuse years that would leave a gap behind them.

    Bars come out the same in whatever order years arrive. Features do not: what looks back over a gap contradicts what
    the whole history says later.

    Raises
    ------
    SourceError
        If the source has bars before these years that are not stored, with the first of them.
    """
    start = _new_year(min(years))
    missing = source.read(_newest(lake, source, None, start), start).rows
    if missing.height:
        first: datetime = missing.select(pl.col("known_time").min()).item()
        raise SourceError(
            f"'{source.name}' was asked for the years from {start.year}, but its bars from {first:%Y-%m-%d} on are not "
            f"stored yet. Run the years from {first.year} on, all in one run, or `make demo`."
        )


def _newest(lake: Lake, source: BarSource, after: datetime | None, until: datetime) -> datetime | None:
    """Newest stored `known_time` of a source in ``(after, until]``, or `after` where there is none."""
    if not lake.exists(RAW_BARS):
        return after
    ours = (pl.col("source") == source.name) & (pl.col("known_time") <= until)
    inside = ours if after is None else ours & (pl.col("known_time") > after)
    newest: datetime | None = lake.scan(RAW_BARS).filter(inside).select(pl.col("known_time").max()).collect().item()
    return newest or after


def _fetch(lake: Lake, source: BarSource, after: datetime | None, until: datetime) -> int:
    """Append the bars of ``(after, until]`` that are newer than the newest one stored of that span; return how many."""
    after = _newest(lake, source, after, until)
    if after is not None and after >= until:
        return 0
    batch = source.read(after, until)
    if batch.rows.is_empty() and lake.exists(RAW_BARS):
        return 0
    return lake.append(RAW_BARS, batch.rows, batch_id=batch.batch_id).added


def _new_year(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def refine_to_lake(lake: Lake, clock: Clock, years: Collection[int] = ()) -> tuple[Report, Report, Report]:
    """Bring `bars`, `actions` and `quarantine` up to what `raw_bars` holds at the market's now.

    Parameters
    ----------
    years
        Store rows of these years only; none named means all. Adjustment looks at every raw row either way.

    Returns
    -------
    tuple[Report, Report, Report]
        Of `bars`, `actions` and `quarantine`, in that order. Each raw row is in exactly one of the first and the
        last, save that a restatement which repeats what was known adds no bar.
    """
    raw = lake.read_as_of(RAW_BARS, clock.now())
    refined = refine_bars(raw)
    bars = lake.merge(BARS, _within(refined.bars, years))
    refused = lake.merge(QUARANTINE, _within(refined.quarantine, years))
    return bars.having(raw_rows=raw.height), _refine_actions(lake, raw, clock, years), refused


def _within(rows: pl.DataFrame, years: Collection[int]) -> pl.DataFrame:
    return rows.filter(pl.col("event_time").dt.year().is_in(list(years))) if years else rows


def _refine_actions(lake: Lake, raw: pl.DataFrame, clock: Clock, years: Collection[int]) -> Report:
    found = find_actions(raw)
    if lake.exists(ACTIONS):
        undone = withdraw(lake.read_as_of(ACTIONS, clock.now()), found)
        found = pl.concat([found, undone.with_columns(pl.lit(raw["known_time"].max()).alias("known_time"))])
    return lake.merge(ACTIONS, _within(found, years))
