"""`raw_bars` to clean tables: every raw row becomes a bar, repeats one, or is in quarantine with its reason."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from math import log
from pathlib import Path
from typing import NamedTuple

import polars as pl

from lake.calendars import VENUE
from lake.clock import Clock
from lake.disk import digest_of_sources
from lake.errors import ConflictError
from lake.ingest.naming import RowNames
from lake.market import Market
from lake.refine import (
    JUMP,
    UNEXPLAINED,
    Refined,
    find_actions,
    refine_bars,
    refine_sources,
    restate,
    told_from_now,
    unsettled_symbols,
    withdraw,
)
from lake.report import Report
from lake.spec import TableSpec
from lake.store import (
    ROW_KEY,
    Lake,
    Watermark,
    known_in,
    new_rows,
    newest_known,
    read_look_back,
    read_watermarks,
    write_watermarks,
)
from lake.tables import ACTIONS, AGREEMENT, BARS, QUARANTINE, RAW_BARS

REFINED = (BARS, ACTIONS, QUARANTINE)
STEP = "refine"
HALF = 0.03
"""Difference of logarithms within which a close is half or twice another, as after a split of 2:1 or 1:2."""
RULES = Path(__file__).parents[1] / "refine"


def refine_to_lake(
    lake: Lake,
    clock: Clock,
    years: Collection[int] = (),
    *,
    calendar: str | None = None,
    index: str | None = None,
) -> tuple[Report, Report, Report]:
    """Bring `bars`, `actions` and `quarantine` up to what `raw_bars` holds at the market's now.

    Only raw rows that no earlier run has judged are read, and the stored rows that are needed to find a duplicate, an
    action or a jump; of a symbol that its source re-based, all rows. The tables are those that one run over everything
    would give.

    Parameters
    ----------
    years
        Judge rows that became known in these years only (`lake.store.years.known_in`); none named means all. Actions
        follow from rows on both sides of a year's end, so all that follow are stored.
    calendar
        Grid of the bars, e.g. a calendar for daily ones; that of the lake's market by default.
    index
        Symbol that stands for the market; that of the lake's market by default. Where new bars lack that of the index
        for their newest session, a warning of the first report says so.

    Returns
    -------
    tuple[Report, Report, Report]
        Of `bars`, `actions` and `quarantine`, in that order; warnings of the last name bars that are held back. Each
        raw row is in exactly one of the first and the last, save that a restatement which repeats what was known adds
        no bar, and that a bar which was held back stays in quarantine when it is released.
    """
    calendar, index = calendar or lake.market.grid, index or lake.market.index
    names = RowNames.of(lake)
    read = Watermark(lake.version(RAW_BARS), clock.now())
    order = _order(lake)
    identity = names.identity + ("\n".join(order) if len(order) > 1 else "")
    watermarks = read_watermarks(lake, STEP, recipe(calendar, identity), REFINED)
    since = watermarks.since(years)
    fresh = (
        None if since is None else new_rows(lake, RAW_BARS, since[RAW_BARS.name], read.now, years, until=read.version)
    )
    try:
        if len(order) > 1:
            reports = _refine_sources(lake, None if fresh is None else names.read(fresh), read, order, calendar, names)
        elif fresh is None:
            reports = _refine_all(lake, read, years, calendar, names)
        else:
            reports = _refine_new(lake, names.read(fresh), read, calendar, names)
    except ConflictError:  # a row whose stamp and event_time differ is no neighbour of its duplicates in the table
        if fresh is None or len(order) > 1:
            raise
        reports = _refine_all(lake, read, years, calendar, names)
    write_watermarks(lake, STEP, watermarks.after(years, {RAW_BARS.name: read}, lake.versions(REFINED)))
    bars, actions, refused = reports
    missing = _without_index(lake, bars, index, read.now) if bars.added else ()
    return bars.with_details(warnings=missing), actions, refused


@cache
def recipe(calendar: str = VENUE, names: str = "") -> str:
    """Identity of the rules by which rows are judged: their source, the venue, how names are read, sources ordered."""
    return digest_of_sources(RULES.glob("*.py"), calendar, names)


def _order(lake: Lake) -> tuple[str, ...]:
    """Names of the sources that the lake's market declares, the preferred one first."""
    return tuple(dict.fromkeys((lake.market.source, *lake.market.other_sources)))


def _refine_sources(
    lake: Lake, fresh: pl.DataFrame | None, read: Watermark, order: Sequence[str], calendar: str, names: RowNames
) -> tuple[Report, Report, Report]:
    """Judge all rows of the symbols that fresh rows speak of, source by source, and tell what is new of their bars."""
    if fresh is not None and fresh.is_empty():
        bars, actions, refused = (_unchanged(lake, spec) for spec in REFINED)
        return bars, actions, refused
    rows = names.read(lake.scan(RAW_BARS, version=read.version).filter(pl.col("known_time") <= read.now))
    if fresh is not None:
        is_touched = pl.col("symbol").is_in(fresh["symbol"].drop_nulls().unique().implode()).fill_null(value=False)
        rows = rows.filter(is_touched | pl.col("symbol").is_null())
    raw, unknown = names.split(rows.collect())
    chosen = refine_sources(raw, order, calendar=calendar)
    told = {BARS: chosen.refined.bars, AGREEMENT: chosen.agreement}
    reports = {}
    for spec, found in told.items():
        stored = lake.read(spec) if lake.exists(spec) else spec.empty()
        reports[spec.name] = lake.merge(spec, told_from_now(spec, stored, found, read.now))
    bars = reports[BARS.name].with_details(raw_rows=raw.height if fresh is None else fresh.height, aside=chosen.aside)
    first = chosen.refined.bars.group_by("symbol").agg(pl.col("event_time").min().alias("first"))
    actions = _refine_actions(lake, chosen.refined.judged, first, read.now)
    return bars, actions, _refuse(lake, pl.concat([chosen.refined.quarantine, unknown]))


def _refine_all(
    lake: Lake, read: Watermark, years: Collection[int], calendar: str, names: RowNames
) -> tuple[Report, Report, Report]:
    raw = names.read(lake.read(RAW_BARS, where=pl.col("known_time") <= read.now, version=read.version))
    known, unknown = names.split(raw)
    refined = refine_bars(known, calendar=calendar)
    bars, refused, rows = refined.bars, pl.concat([refined.quarantine, unknown]), raw.height
    if years:
        bars, refused, rows = (
            bars.filter(known_in(years)),
            refused.filter(known_in(years)),
            raw.filter(known_in(years)).height,
        )
    if lake.lacks_columns(BARS):  # null where they are known would be contradicted by the values
        stored = lake.rebuild(BARS, [refined.bars]).with_details(raw_rows=rows)
    else:
        stored = lake.merge(BARS, bars).with_details(raw_rows=rows)
    actions = _refine_actions(lake, refined.judged, None, read.now)
    return stored, actions, _refuse(lake, refused)


def _refine_new(
    lake: Lake, fresh: pl.DataFrame, read: Watermark, calendar: str, names: RowNames
) -> tuple[Report, Report, Report]:
    if fresh.is_empty():
        bars, actions, refused = (_unchanged(lake, spec) for spec in REFINED)
        return bars, actions, refused
    rows = fresh.height
    fresh, unknown = names.split(fresh)
    first = fresh.drop_nulls("symbol").group_by("symbol").agg(pl.col("event_time").min().alias("first"))
    near = _from_the_bar_before(lake, first, read, names)
    refined = refine_bars(fresh, judged_before=near.raw, calendar=calendar)
    together = unsettled_symbols(refined.judged, near.bars)
    if together:
        refined = _refine_whole_symbols(lake, fresh, refined, together, read, calendar, names)
        oldest = refined.judged.group_by("symbol").agg(pl.col("event_time").min().alias("first"))
        first = pl.concat([first, oldest.filter(pl.col("symbol").is_in(together))])
        first = first.group_by("symbol").agg(pl.col("first").min())
    bars = lake.merge(BARS, refined.bars).with_details(warnings=_like_a_split(near.bars, refined.bars, fresh))
    turned_away = pl.concat([refined.quarantine, unknown])
    refused = _refuse(lake, turned_away) if turned_away.height else _unchanged(lake, QUARANTINE)
    if refined.bars.is_empty():
        return bars.with_details(raw_rows=rows), _unchanged(lake, ACTIONS), refused
    actions = _refine_actions(lake, refined.judged, first, read.now)
    return bars.with_details(raw_rows=rows), actions, refused


def _refine_whole_symbols(
    lake: Lake,
    fresh: pl.DataFrame,
    refined: Refined,
    symbols: Sequence[str],
    read: Watermark,
    calendar: str,
    names: RowNames,
) -> Refined:
    """Judge all rows of some symbols together, and put them in the place of what their fresh rows alone gave."""
    is_theirs = pl.col("symbol").is_in(symbols).fill_null(value=False)
    known = lake.scan(RAW_BARS, version=read.version).filter(pl.col("known_time") <= read.now)
    raw = names.read(known).filter(is_theirs).collect()
    whole = refine_bars(raw, calendar=calendar)
    row = ["batch_id", "row"]
    refused = [
        refined.quarantine.join(fresh.filter(~is_theirs), on=row, how="semi"),
        whole.quarantine.join(fresh, on=row, how="semi"),
    ]
    return Refined(
        pl.concat([refined.bars.filter(~is_theirs), whole.bars]),
        pl.concat(refused),
        pl.concat([refined.judged.filter(~is_theirs), whole.judged]),
    )


def _like_a_split(before: pl.DataFrame, bars: pl.DataFrame, fresh: pl.DataFrame) -> tuple[str, ...]:
    """Name the new bars whose close is half or twice the one before: what 2:1 looks like to who sees one bar a day."""
    columns = ["symbol", "event_time", "close"]
    latest = pl.concat([before.select(columns), newest_known(bars).select(columns)])
    latest = latest.unique(["symbol", "event_time"], keep="last").sort("symbol", "event_time")
    rise = pl.when(pl.col("symbol") == pl.col("symbol").shift(1)).then(pl.col("close") / pl.col("close").shift(1))
    is_near = (rise.log().abs() - log(2)).abs() < HALF
    found = latest.filter(is_near).join(fresh, on=["symbol", "event_time"], how="semi")
    return tuple(
        f"{symbol}: the close of {at:%Y-%m-%d} is about half or twice the one before. If that was a split, send the "
        "bars before it again as the source states them; a source with a `lookback` does (`lake.sources.BarSource`)."
        for symbol, at, _ in found.iter_rows()
    )


def _without_index(lake: Lake, bars: Report, index: str, now: datetime) -> tuple[str, ...]:
    """Say that the index has no bar of the newest session, and why; nothing where it has one."""
    newest = pl.col("event_time") == pl.lit(bars.last)
    symbols = lake.read(BARS, where=newest & (pl.col("known_time") <= now))["symbol"].unique()
    if bars.last is None or symbols.is_empty() or index in symbols:
        return ()
    where = newest & (pl.col("content").str.json_path_match("$.symbol") == index)
    reasons = lake.read(QUARANTINE, where=where)["reason"].unique().sort().to_list()
    came = f"was refused as {' and '.join(map(repr, reasons))}" if reasons else "has not come"
    sentence = (
        f"The bar of the index {index} for the session that closed at {bars.last:%Y-%m-%d %H:%M} UTC {came}, while "
        f"{symbols.len()} symbols have theirs. Without it no regime, no feature of the market and no forecast is made "
        f"for that session. Run `{lake.market.command('update')}` again once the source has it."
    )
    return (sentence,)


def _refuse(lake: Lake, refused: pl.DataFrame) -> Report:
    """Put rows in quarantine, and name the bars among them that only a person can release."""
    report = lake.merge(QUARANTINE, refused)
    held = refused.filter(pl.col("reason") == UNEXPLAINED)
    if held.is_empty() or report.skipped:
        return report
    symbol = pl.col("content").str.json_path_match("$.symbol").alias("symbol")
    bars = held.with_columns(symbol).group_by("symbol").agg(pl.col("event_time").min(), pl.len()).sort("symbol")
    return report.with_details(warnings=tuple(_held_back(lake.market, *bar) for bar in bars.iter_rows()))


def _held_back(market: Market, symbol: str, first: datetime, bars: int) -> str:
    return (
        f"{symbol}: {bars} {'bar is' if bars == 1 else 'bars are'} held back in quarantine as '{UNEXPLAINED}', the "
        f"first that of {first:%Y-%m-%d}: its close lies more than a factor of {JUMP:g} from the one before, and no "
        "split or dividend explains it. Send the bars before it again as the source states them now. If the prices are "
        f"right as they are, release them with `{market.command('market release')}`."
    )


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


class _Near(NamedTuple):
    """Stored bars and raw rows of each symbol from the last bar before its first fresh row on."""

    bars: pl.DataFrame
    raw: pl.DataFrame


def _from_the_bar_before(lake: Lake, first: pl.DataFrame, read: Watermark, names: RowNames) -> _Near:
    """Read what fresh rows are judged beside: the same closes, for duplicates, and the bar before, for actions."""
    bars = read_look_back(lake, BARS, first, 1, now=read.now, columns=[*ROW_KEY, "close"])
    earliest = bars.group_by("symbol").agg(pl.col("event_time").min())
    start = first.join(earliest, on="symbol", how="left").select(
        "symbol", pl.min_horizontal("event_time", "first").alias("start")
    )
    near = (pl.col("event_time") >= start["start"].min()) & (pl.col("known_time") <= read.now)
    rows = names.read(lake.scan(RAW_BARS, version=read.version).filter(near)).join(start.lazy(), on="symbol")
    return _Near(bars, rows.filter(pl.col("event_time") >= pl.col("start")).drop("start").collect())


def _unchanged(lake: Lake, spec: TableSpec) -> Report:
    return lake.report(spec).with_details(reason="every raw row has been judged already")
