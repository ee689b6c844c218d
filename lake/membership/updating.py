"""Bars and declaration to `universe` and `symbols`, by what is new."""

from datetime import UTC, date, datetime, time
from pathlib import Path

import polars as pl

from lake import calendars
from lake.clock import Clock
from lake.disk import digest_of_sources
from lake.market import Market
from lake.membership.coverage import SOONEST, coverage_rows, newest_coverage
from lake.membership.declared import declared_rows, read_members
from lake.names import NameSpan
from lake.report import Report
from lake.spec import INSTANT, TableSpec
from lake.store import Lake, Watermark, new_rows, newest_known, read_look_back, read_watermarks, write_watermarks
from lake.tables import BARS, SYMBOLS, UNIVERSE

STEP = "membership"
COLUMNS = ["symbol", "event_time", "known_time", "source"]


def update_membership(lake: Lake, clock: Clock) -> tuple[Report, Report]:
    """Bring `universe` and `symbols` up to what `bars` holds at the market's now and to what the market declares.

    Only bars that no earlier run has seen are read, and of symbols that stopped coming the last one.

    Returns
    -------
    tuple[Report, Report]
        Of `symbols` and `universe`, in that order.
    """
    market, now = lake.market, clock.now()
    if not lake.exists(BARS):
        return _unchanged(lake, SYMBOLS), _unchanged(lake, UNIVERSE)
    spells = read_members(market, lake.root.parent)
    read = Watermark(lake.version(BARS), now)
    made = [spec for spec in (SYMBOLS, UNIVERSE) if lake.exists(spec)]
    watermarks = read_watermarks(lake, STEP, _recipe(market, spells), made)
    since = watermarks.since(())
    fresh = new_rows(lake, BARS, since[BARS.name], now, until=read.version) if since and len(made) > 1 else None
    is_known = since is not None and fresh is not None
    if fresh is None:
        fresh = lake.scan(BARS).filter(pl.col("known_time") <= now).select(COLUMNS).collect()
    universe = _stored(lake, UNIVERSE, now).filter(pl.col("universe") == market.name)
    rows = _coverage(lake, fresh.select(COLUMNS), universe, now)
    if spells is not None:
        rows = pl.concat([rows, declared_rows(spells, market)])
    rows = pl.concat([rows, _renamed(rows, universe, market)]).filter(pl.col("known_time") <= now)
    if since and is_known and rows.is_empty() and not _renames_between(market, since[BARS.name].now, now):
        reports = _unchanged(lake, SYMBOLS), _unchanged(lake, UNIVERSE)
    else:
        names = _names(pl.concat([universe, rows]), market, now)
        reports = _merge(lake, SYMBOLS, names), _merge(lake, UNIVERSE, rows)
    made = [spec for spec in (SYMBOLS, UNIVERSE) if lake.exists(spec)]
    write_watermarks(lake, STEP, watermarks.after((), {BARS.name: read}, lake.versions(made)))
    return reports


def _renames_between(market: Market, before: datetime, now: datetime) -> bool:
    """Whether a name of the market begins or ends within an interval, so that it becomes known."""
    days = [day for span in market.names.spans for day in (span.valid_from, span.valid_until) if day is not None]
    return any(before < _midnight(day) <= now for day in days)


def _coverage(lake: Lake, fresh: pl.DataFrame, universe: pl.DataFrame, now: datetime) -> pl.DataFrame:
    if fresh.is_empty():
        return UNIVERSE.empty()
    market, stored = lake.market, newest_coverage(universe)
    newest: datetime = fresh.select(pl.col("event_time").max()).item()
    last = lake.last_event(BARS)
    newest = newest if last is None else max(newest, min(last, now))
    first = fresh.group_by("symbol").agg(pl.col("event_time").min().alias("first"))
    if not _follows(lake, fresh, market):
        known = first.join(stored, on="symbol", how="semi")
        fresh = pl.concat([fresh, _bars_before(lake, known, now)])
    gone = stored.filter(pl.col("is_member")).join(first, on="symbol", how="anti")
    quiet = _bars_before(lake, gone.select("symbol", pl.lit(newest).alias("first")), now)
    return coverage_rows(pl.concat([fresh, quiet]), stored, newest, market)


def _follows(lake: Lake, fresh: pl.DataFrame, market: Market) -> bool:
    """Whether new bars are of one session and there are bars of the one before.

    Then no gap is long enough to matter: the last run would have found coverage to end that far back.
    """
    closes = fresh["event_time"].unique()
    if len(closes) != 1:
        return False
    before = calendars.last_close(closes[0] - SOONEST, market.grid)
    if before is None:
        return False
    return lake.scan(BARS).filter(pl.col("event_time") == before).head(1).collect().height == 1


def _bars_before(lake: Lake, first: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return the last bar of each symbol before an instant."""
    if first.is_empty():
        return pl.DataFrame(schema={name: BARS.schema[name] for name in COLUMNS})
    bars = read_look_back(lake, BARS, first, 1, now=now, columns=COLUMNS)
    return bars.group_by("symbol", maintain_order=True).first().select(COLUMNS)


def _renamed(rows: pl.DataFrame, universe: pl.DataFrame, market: Market) -> pl.DataFrame:
    """Take back the membership of names that were found to be another instrument's after bars had been stored of them.

    The instrument is a member under its present name for all that time.
    """
    own = {span.symbol for span in market.names.spans}
    former = sorted({span.name for span in market.names.spans} - own)
    stored = pl.concat([universe, rows]).filter(pl.col("symbol").is_in(former) & (pl.col("basis") == "coverage"))
    if stored.is_empty() or market.row_names != "as_traded":
        return UNIVERSE.empty()
    newest = newest_known(stored, UNIVERSE.key).filter(pl.col("is_member"))
    return newest.with_columns(
        pl.lit(value=False).alias("is_member"),
        pl.col("known_time") + SOONEST,
        pl.lit("renamed").alias("reason"),
    )


def _names(universe: pl.DataFrame, market: Market, now: datetime) -> pl.DataFrame:
    """Return the rows of `symbols`: every symbol under its own name, and the names that the market declares."""
    covered = universe.filter(pl.col("basis") == "coverage").sort("event_time", "known_time")
    first = covered.group_by("symbol", maintain_order=True).agg(
        pl.col("event_time", "known_time", "source").first(), (pl.col("reason") == "renamed").any().alias("is_former")
    )
    first = first.filter(~pl.col("is_former"))
    bears_own = set(first["symbol"]) - {span.name for span in market.names.spans if market.row_names == "as_traded"}
    own = first.filter(pl.col("symbol").is_in(sorted(bears_own))).select(
        "source",
        pl.col("symbol").alias("their_symbol"),
        pl.col("event_time").dt.truncate("1d").alias("valid_from"),
        pl.lit(None, dtype=INSTANT).alias("valid_until"),
        "symbol",
        pl.lit(market.calendar).alias("venue"),
        pl.lit("first_bar").alias("reason"),
        "event_time",
        "known_time",
    )
    starts = dict(first.select("symbol", "event_time").iter_rows())
    declared = [
        row for span in market.names.spans if span.symbol in starts for row in _declared(span, starts[span.symbol])
    ]
    names = pl.DataFrame(declared, schema=["their_symbol", "symbol", "valid_from", "valid_until", "at"], orient="row")
    told = names.select(
        pl.lit("declared").alias("source"),
        pl.col("their_symbol").cast(pl.String),
        pl.col("valid_from").cast(INSTANT),
        pl.col("valid_until").cast(INSTANT),
        pl.col("symbol").cast(pl.String),
        pl.lit(market.calendar).alias("venue"),
        pl.lit("renamed").alias("reason"),
        pl.col("valid_from").cast(INSTANT).alias("event_time"),
        pl.col("at").cast(INSTANT).alias("known_time"),
    )
    return pl.concat([own.select(SYMBOLS.names), told.select(SYMBOLS.names)]).filter(pl.col("known_time") <= now)


def _declared(span: NameSpan, begun: datetime) -> list[tuple[object, ...]]:
    """Return a name as known from its first day on, and as known once it was given up."""
    since = _midnight(span.valid_from or begun.date())
    rows: list[tuple[object, ...]] = [(span.name, span.symbol, since, None, since)]
    if span.valid_until is not None and (until := _midnight(span.valid_until)) > since:
        rows.append((span.name, span.symbol, since, until, until))
    return rows


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _stored(lake: Lake, spec: TableSpec, now: datetime) -> pl.DataFrame:
    return lake.read_as_of(spec, now) if lake.exists(spec) else spec.empty()


def _merge(lake: Lake, spec: TableSpec, rows: pl.DataFrame) -> Report:
    return lake.merge(spec, rows) if rows.height or not lake.exists(spec) else _unchanged(lake, spec)


def _unchanged(lake: Lake, spec: TableSpec) -> Report:
    if not lake.exists(spec):
        return lake.merge(spec, spec.empty())
    return lake.report(spec).with_details(reason="who belongs to the market, and by which names, is stored already")


def _recipe(market: Market, spells: pl.DataFrame | None) -> str:
    """Identity of what the tables follow from besides bars: the rules, and what the market declares."""
    said = [market.name, market.calendar, market.row_names, market.delisted_after_bars, market.renames]
    listed = "" if spells is None else spells.write_csv()
    return digest_of_sources(Path(__file__).parent.glob("*.py"), repr(said), listed)
