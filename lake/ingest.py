"""Sources to tables: fetch what is new, refine it, keep every row either clean or quarantined with its reason."""

import hashlib
import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl

from lake.clock import Clock
from lake.errors import ConflictError, SourceError
from lake.refine import find_actions, judge, parse, refine_bars, restate, withdraw
from lake.report import Report
from lake.sources import BarSource
from lake.spec import TableSpec
from lake.store import ROW_KEY, Lake, Watermark, known_in, new_rows, read_look_back, read_watermarks, write_watermarks
from lake.tables import ACTIONS, BARS, QUARANTINE, RAW_BARS

REFINED = (BARS, ACTIONS, QUARANTINE)
STEP = "refine"
RECENT = timedelta(days=30)
"""Where the newest delivery of a source is looked for first."""


def ingest_bars(lake: Lake, source: BarSource, clock: Clock, years: Collection[int] = ()) -> Report:
    """Append what a source published since its last delivery and up to the market's now, as received.

    Parameters
    ----------
    years
        Fetch bars of these years only, one delivery per year; none named means everything that is new.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC, datetime
    >>> from pathlib import Path
    >>> from lake.clock import FixedClock
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
    started = time.perf_counter()
    spans: list[tuple[datetime | None, datetime]] = [(_new_year(year), _new_year(year + 1)) for year in sorted(years)]
    spans = spans or [(None, clock.now())]
    added = sum(_fetch(lake, source, after, min(until, clock.now())) for after, until in spans)
    report = lake.report(RAW_BARS, added=added, started=started)
    if report.skipped:
        return report.with_details(
            reason=f"'{source.name}' has no bar that is not stored, up to {clock.now():%Y-%m-%d}"
        )
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
    is_own = (pl.col("source") == source.name) & (pl.col("known_time") <= until)
    for start in (until - RECENT if after is None else max(after, until - RECENT), after):
        inside = is_own if start is None else is_own & (pl.col("known_time") > start)
        newest: datetime | None = lake.scan(RAW_BARS).filter(inside).select(pl.col("known_time").max()).collect().item()
        if newest is not None:
            return newest
    return after


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

    Only raw rows that no earlier run has judged are read, and the stored rows that are needed to find a duplicate or an
    action. The tables are those that one run over everything would give.

    Parameters
    ----------
    years
        Judge rows that became known in these years only (`lake.store.years.known_in`); none named means all. Actions
        follow from rows on both sides of a year's end, so all that follow are stored.

    Returns
    -------
    tuple[Report, Report, Report]
        Of `bars`, `actions` and `quarantine`, in that order. Each raw row is in exactly one of the first and the
        last, save that a restatement which repeats what was known adds no bar.
    """
    read = Watermark(lake.version(RAW_BARS), clock.now())
    watermarks = read_watermarks(lake, STEP, recipe(), REFINED)
    since = watermarks.since(years)
    fresh = (
        None if since is None else new_rows(lake, RAW_BARS, since[RAW_BARS.name], read.now, years, until=read.version)
    )
    try:
        reports = _refine_all(lake, read, years) if fresh is None else _refine_new(lake, fresh, read)
    except ConflictError:  # a row whose stamp and event_time differ is no neighbour of its duplicates in the table
        if fresh is None:
            raise
        reports = _refine_all(lake, read, years)
    write_watermarks(lake, STEP, watermarks.after(years, {RAW_BARS.name: read}, lake.versions(REFINED)))
    return reports


@cache
def recipe() -> str:
    """Identity of the rules by which rows are judged: their source."""
    sources = sorted((Path(__file__).parent / "refine").glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _refine_all(lake: Lake, read: Watermark, years: Collection[int]) -> tuple[Report, Report, Report]:
    raw = lake.read(RAW_BARS, where=pl.col("known_time") <= read.now, version=read.version)
    wanted = raw.filter(known_in(years))
    refined = refine_bars(wanted)
    bars, refused = lake.merge(BARS, refined.bars), lake.merge(QUARANTINE, refined.quarantine)
    judged = refined.judged if not years else judge(parse(raw))
    return bars.with_details(raw_rows=wanted.height), _refine_actions(lake, judged, None, read.now), refused


def _refine_new(lake: Lake, fresh: pl.DataFrame, read: Watermark) -> tuple[Report, Report, Report]:
    if fresh.is_empty():
        bars, actions, refused = (_unchanged(lake, spec) for spec in REFINED)
        return bars, actions, refused
    refined = refine_bars(fresh, judged_before=_same_closes(lake, fresh, read))
    bars = lake.merge(BARS, refined.bars)
    refused = lake.merge(QUARANTINE, refined.quarantine) if refined.quarantine.height else _unchanged(lake, QUARANTINE)
    first = refined.bars.group_by("symbol").agg(pl.col("event_time").min().alias("first"))
    if first.is_empty():
        return bars.with_details(raw_rows=fresh.height), _unchanged(lake, ACTIONS), refused
    judged = judge(parse(_from_the_bar_before(lake, first, read)))
    actions = _refine_actions(lake, judged, first, read.now)
    return bars.with_details(raw_rows=fresh.height), actions, refused


def _same_closes(lake: Lake, fresh: pl.DataFrame, read: Watermark) -> pl.DataFrame:
    """Stored rows for the same closes as the fresh ones, those that are fresh among them."""
    closes = fresh["event_time"].unique()
    is_near = pl.col("event_time").is_between(closes.min(), closes.max()) & pl.col("event_time").is_in(closes.implode())
    return lake.read(RAW_BARS, where=is_near & (pl.col("known_time") <= read.now), version=read.version)


def _refine_actions(lake: Lake, judged: pl.DataFrame, first: pl.DataFrame | None, now: datetime) -> Report:
    """Store what the rows say about actions, and withdraw the stored ones from `first` on that they no longer imply."""
    found = find_actions(judged)
    if lake.exists(ACTIONS):
        stored = lake.read_as_of(ACTIONS, now)
        if first is not None:
            stored = stored.join(first, on="symbol").filter(pl.col("event_time") >= pl.col("first")).drop("first")
        undone = withdraw(stored, found).with_columns(pl.lit(judged["known_time"].max()).alias("known_time"))
        found = restate(stored, pl.concat([found, undone]), now)
    return lake.merge(ACTIONS, found)


def _from_the_bar_before(lake: Lake, first: pl.DataFrame, read: Watermark) -> pl.DataFrame:
    """Stored raw rows of each symbol from the last full bar before `first` on: its actions follow from them."""
    is_full = pl.col("quality") == "full"
    bars = read_look_back(lake, BARS, first, 1, now=read.now, where=is_full, columns=ROW_KEY)
    earliest = bars.group_by("symbol").agg(pl.col("event_time").min())
    start = first.join(earliest, on="symbol", how="left").select(
        "symbol", pl.min_horizontal("event_time", "first").alias("start")
    )
    near = (pl.col("event_time") >= start["start"].min()) & (pl.col("known_time") <= read.now)
    rows = lake.scan(RAW_BARS, version=read.version).filter(near).join(start.lazy(), on="symbol")
    return rows.filter(pl.col("event_time") >= pl.col("start")).select(RAW_BARS.names).collect()


def _unchanged(lake: Lake, spec: TableSpec) -> Report:
    return lake.report(spec).with_details(reason="every raw row has been judged already")
