"""Sources to `raw_bars`: ask for what is new, or for a window again, and append what says something new."""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from lake.calendars import last_close
from lake.clock import Clock
from lake.errors import ConflictError, SourceError
from lake.ingest.currencies import about_currencies
from lake.ingest.deliveries import StoredBatches, log_deliveries
from lake.ingest.naming import spelled
from lake.ingest.stating import store_stated
from lake.market import DEMO
from lake.market import FILE as DECLARATION
from lake.refine import Unstored, as_one_delivery, unstored
from lake.report import Report
from lake.sources import BarBatch, BarSource, OverheardSource, lookback_of
from lake.store import Lake
from lake.tables import BARS, RAW_BARS

RECENT = timedelta(days=30)
"""Where the newest delivery of a source is looked for first."""


def ingest_bars(lake: Lake, source: BarSource, clock: Clock, years: Collection[int] = ()) -> Report:
    """Append what a source published since its last delivery and up to the market's now, as received.

    A source with a `lookback` (`lake.sources.BarSource`) is asked again for what is stored, and only rows that are new
    or differ are appended; the report then counts those that are `corrected`, `late` or `doubled`. Splits and dividends
    that a source states go to `raw_actions`; where there are any, the report counts them as `stated_actions`.

    Parameters
    ----------
    years
        Fetch bars of these years only, one delivery per year; none named means everything that is new.

    Raises
    ------
    ConflictError
        If the lake holds bars of a source that is neither this one nor its market's: they are of another market.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC, datetime
    >>> from pathlib import Path
    >>> from lake.clock import FixedClock
    >>> from lake.ingest import refine_to_lake
    >>> from lake.sources import GeneratedMarket
    >>> from lake.store import Lake
    >>> lake, clock = Lake(Path(tempfile.mkdtemp())), FixedClock(datetime(2012, 12, 31, 21, tzinfo=UTC))
    >>> source = GeneratedMarket.ending(symbols=2, sessions=5, until=clock.now())
    >>> ingest_bars(lake, source, clock).added
    15
    >>> bars, actions, quarantine = refine_to_lake(lake, clock)
    >>> bars.added, quarantine.added
    (15, 0)
    """
    started, now = time.perf_counter(), clock.now()
    _require_own_market(lake, source)
    heard = OverheardSource(source)
    stored: StoredBatches = {}
    try:
        report = _ingest(lake, heard, stored, now, years).with_details(seconds=time.perf_counter() - started)
    finally:
        log_deliveries(lake, heard, stored, now)
    if stated := store_stated(lake, heard.batches, now):
        report = report.with_details(stated_actions=stated)
    failed = {f"{each.symbol}: {each.reason}" for batch in heard.batches for each in batch.failures}
    noted = {note for batch in heard.batches for note in batch.notes}
    currencies = {symbol: said for batch in heard.batches for symbol, said in batch.currencies.items()}
    warnings = (*sorted(failed), *sorted(noted), *about_currencies(source.name, currencies, lake.market))
    report = report.with_details(warnings=warnings)
    if report.skipped:
        return report.with_details(reason=f"'{source.name}' has no bar that is not stored, up to {now:%Y-%m-%d}")
    return report


def _ingest(
    lake: Lake, source: OverheardSource, stored: StoredBatches, now: datetime, years: Collection[int]
) -> Report:
    spans: list[tuple[datetime | None, datetime]] = [(_new_year(year), _new_year(year + 1)) for year in sorted(years)]
    spans = spans or [(None, now)]
    lookback = lookback_of(source)
    if lookback == timedelta(0):
        added = sum(_fetch(lake, source, stored, after, min(until, now)) for after, until in spans)
        return lake.report(RAW_BARS, added=added)
    deliveries = [_fetch_again(lake, source, stored, after, min(until, now), lookback, now) for after, until in spans]
    report = lake.report(RAW_BARS, added=sum(each.rows.height for each in deliveries))
    return _with_counts(report, source, deliveries)


def _require_own_market(lake: Lake, source: BarSource) -> None:
    """Refuse to mix the bars of two markets, before anything is written.

    A source that a market names as ``module:name`` may call itself what it likes.
    """
    declared = {lake.market.source, *lake.market.other_sources}
    if lake.market.name != DEMO.name and ":" not in lake.market.source and source.name not in declared:
        raise ConflictError(
            f"The market '{lake.market.name}' has its bars from {', '.join(map(repr, sorted(declared)))}, and "
            f"'{source.name}' is none of them. Nothing was written. Unset QUANTLAKE_SOURCE, or add '{source.name}' to "
            f"other_sources in {lake.root.parent / DECLARATION}."
        )
    if not lake.exists(RAW_BARS) or source.name in lake.market.other_sources:
        return
    stored = lake.scan(RAW_BARS)
    if stored.filter(pl.col("source") == source.name).head(1).collect().height:
        return
    others = set(stored.select(pl.col("source").unique()).collect().to_series()) - declared
    if others:
        raise ConflictError(
            f"The lake in {lake.root} holds bars of {', '.join(map(repr, sorted(others)))}, and '{source.name}' is no "
            f"source of theirs: they are of another market. Nothing was written. Declare a market for '{source.name}' "
            "(`quantlake market new`), or set QUANTLAKE_HOME to a folder of its own."
        )


def require_history(lake: Lake, source: BarSource, years: Collection[int]) -> None:
    """Refuse years that would leave a gap behind them, and years that would fill one.

    Bars come out the same in whatever order years arrive. Features do not: what looks back over a gap contradicts what
    the whole history says later. A source with a `lookback` may tell an older history later, because what it tells then
    is known from then on.

    Raises
    ------
    SourceError
        If the source has bars before these years that are not stored, with the first of them; or if newer bars are
        stored already, and those of these years would be known from before them.
    """
    start = _new_year(min(years))
    missing = source.read(_newest(lake, source, None, start), start).rows
    if missing.height:
        first: datetime = missing.select(pl.col("known_time").min()).item()
        raise SourceError(
            f"'{source.name}' was asked for the years from {start.year}, but its bars from {first:%Y-%m-%d} on are not "
            f"stored yet. Run the years from {first.year} on, all in one run, or `{lake.market.first_run}`."
        )
    if lookback_of(source) == timedelta(0):
        _require_nothing_newer(lake, source, years)


def _require_nothing_newer(lake: Lake, source: BarSource, years: Collection[int]) -> None:
    newest = _newest(lake, source, None, datetime.max.replace(tzinfo=UTC))
    for year in sorted(years):
        start, end = _new_year(year), _new_year(year + 1)
        if newest is None or newest <= end:
            return
        older = source.read(_newest(lake, source, start, end), end).rows
        if older.height:
            raise SourceError(
                f"{older.height} bars of '{source.name}' for {year} are not stored, but bars up to {newest:%Y-%m-%d} "
                "are, and features were computed without them. Start afresh with an empty QUANTLAKE_HOME, or give the "
                "source `lookback = None`: what it tells late is then known from now on (`lake.sources.BarSource`)."
            )


def _newest(lake: Lake, source: BarSource, after: datetime | None, until: datetime) -> datetime | None:
    """Newest stored `known_time` of a source in ``(after, until]``, or `after` where there is none."""
    if not lake.exists(RAW_BARS):
        return after
    is_own = (pl.col("source") == source.name) & (pl.col("known_time") <= until)
    for start in (until - RECENT if after is None else max(after, until - RECENT), after):
        inside = is_own if start is None else is_own & (pl.col("known_time") > start)
        newest: datetime | None = lake.scan(RAW_BARS).filter(inside).select(pl.col("known_time").max()).collect().item()
        if newest is not None:
            return newest
    return after


def _fetch(lake: Lake, source: BarSource, stored: StoredBatches, after: datetime | None, until: datetime) -> int:
    """Append the bars of ``(after, until]`` that are newer than the newest one stored of that span; return how many."""
    after = _newest(lake, source, after, until)
    if after is not None and after >= until:
        return 0
    batch = source.read(after, until)
    if batch.rows.is_empty() and lake.exists(RAW_BARS):
        return 0
    added = lake.append(RAW_BARS, spelled(batch.rows, lake.market.index), batch_id=batch.batch_id).added
    stored[batch.batch_id] = batch.batch_id, added
    return added


def _fetch_again(
    lake: Lake,
    source: BarSource,
    kept: StoredBatches,
    after: datetime | None,
    until: datetime,
    lookback: timedelta | None,
    now: datetime,
) -> Unstored:
    """Ask for a span again and append the rows that are new or differ from what is stored; return them."""
    newest = _newest_bars(lake, source)
    batch = _ask_again(source, after, until, lookback, newest)
    rows = spelled(batch.rows, lake.market.index)
    stored = RAW_BARS.empty()
    if lake.exists(RAW_BARS) and rows.height:
        first, last = rows.select(pl.col("event_time").min(), last=pl.col("event_time").max()).row(0)
        is_near = (pl.col("source") == source.name) & pl.col("event_time").is_between(first, last)
        stored = lake.read(RAW_BARS, where=is_near)
    fresh = unstored(rows, stored, max(newest.values(), default=None), now)
    if fresh.rows.height or not lake.exists(RAW_BARS):
        batch_id, rows = as_one_delivery(fresh.rows, batch.batch_id)
        kept[batch.batch_id] = batch_id, lake.append(RAW_BARS, rows, batch_id=batch_id).added
    return fresh


def _newest_bars(lake: Lake, source: BarSource) -> dict[str | None, datetime]:
    """Newest stored `event_time` of each symbol of a source."""
    if not lake.exists(RAW_BARS):
        return {}
    own = lake.scan(RAW_BARS).filter(pl.col("source") == source.name)
    return dict(own.group_by("symbol").agg(pl.col("event_time").max()).collect().iter_rows())


def _ask_again(
    source: BarSource,
    after: datetime | None,
    until: datetime,
    lookback: timedelta | None,
    newest: Mapping[str | None, datetime],
) -> BarBatch:
    """Ask from `lookback` before the newest stored bar on; what lies further back of a symbol is asked for as well."""
    if after is not None or lookback is None or not newest:
        return source.read(after, until)
    start = max(newest.values()) - lookback
    batch = source.read(start, until)
    behind = [symbol for symbol in batch.rows["symbol"].unique() if symbol not in newest or newest[symbol] <= start]
    if not behind:
        return batch
    is_added = any(symbol not in newest for symbol in behind)
    whole = source.read(None if is_added else min(newest[symbol] for symbol in behind) - lookback, until)
    is_behind = pl.col("symbol").is_in(behind, nulls_equal=True)
    rows = pl.concat([batch.rows.filter(~is_behind), whole.rows.filter(is_behind)])
    return BarBatch(batch.batch_id, rows.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("row")))


def _with_counts(report: Report, source: BarSource, deliveries: Sequence[Unstored]) -> Report:
    corrected, late, doubled = (sum(counts) for counts in zip(*(each[1:] for each in deliveries), strict=True))
    if not doubled:
        return report.with_details(corrected=corrected, late=late)
    sentence = (
        f"'{source.name}' sent {doubled} rows for bars of which the same delivery holds a later row. The last row of "
        "each bar counts; the others are in quarantine as 'duplicate'."
    )
    return report.with_details(corrected=corrected, late=late, doubled=doubled, warnings=(sentence,))


def missing_bars(lake: Lake, close: datetime) -> list[str] | None:
    """Return the symbols that have a bar at the session before a close and none at it; None where no symbol has one."""
    before = last_close(close - timedelta(microseconds=1), lake.market.grid)
    if before is None or not lake.exists(BARS):
        return None
    rows = lake.scan(BARS).filter(pl.col("event_time").is_in([before, close])).select("symbol", "event_time").collect()
    then, now = (set(rows.filter(pl.col("event_time") == at)["symbol"]) for at in (before, close))
    return sorted(then - now) if now else None


def _new_year(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)
