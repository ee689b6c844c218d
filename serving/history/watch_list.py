"""Rows of a watch list: last bar, newest forecast and the record of its band.

What a list is searched and sorted by is known of every symbol from one scan of each table; what is only shown is read
for the symbols of the part that is shown.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from lake.calendars import count_closes
from lake.spec import TableSpec
from lake.tables import BARS, FORECAST_DECISIONS, FORECASTS, OUTCOMES, REGIMES
from serving import api
from serving.history.bars import sessions_of
from serving.history.forecasts import made_by
from serving.history.known import KnownTables, as_known, was_known
from serving.history.records import LEAST_OUTCOMES, band_record, held_by_symbol, overlap_of
from serving.history.replayed_bands import held_in_replay, replayed_record

LOOK_BACK = timedelta(days=60)
"""How far before the instant the last bar and the newest forecast of a symbol are looked for; a symbol without a bar
for so long counts as delisted in every market that does not say otherwise."""
ANSWERED = made_by(None)
HELD = ("symbol", "event_time", "known_time", "is_covered")
COUNTS = ("outcomes", "held", "sessions")
MATURED = (FORECASTS, OUTCOMES, FORECAST_DECISIONS)


def watch_list(tables: KnownTables, symbols: Sequence[str], horizon: int, at: datetime) -> list[api.WatchRow]:
    """Return what was known of some symbols at an instant, in their order; an unknown symbol has nulls.

    For a long list, of which a part is shown: `watched_symbols` of all, and `watch_rows` of the part.

    Parameters
    ----------
    horizon
        As the tables count it.
    """
    return watch_rows(tables, watched_symbols(tables, symbols, horizon, at), horizon, at)


def watched_symbols(tables: KnownTables, symbols: Sequence[str], horizon: int, at: datetime) -> pl.DataFrame:
    """Return what was known of some symbols at an instant, to be searched, sorted and cut into parts.

    The tables are read once for all symbols of the market and kept until one of them has a new version, so that
    further parts, sorts and searches of the same instant cost no read.

    Parameters
    ----------
    horizon
        As the tables count it.

    Returns
    -------
    pl.DataFrame
        One row per symbol, in their order: the members of `api.WatchRow` but for the records of bands, and of these
        ``outcomes``, ``held`` and ``sessions`` of the answered forecasts, as `held_by_symbol` counts them, 0 without
        any, and ``overlap``, the bars of the horizon. An unknown symbol has nulls.
    """
    bars = tables.kept(("last bars", at), (BARS,), lambda: _last_bars(tables, at))
    forecasts = tables.kept(
        ("last forecasts", horizon, at), (FORECASTS, FORECAST_DECISIONS), lambda: _last_forecasts(tables, horizon, at)
    )
    answered = tables.kept(("answered", horizon), MATURED, lambda: _answered(tables, horizon))
    held = tables.kept(("held", horizon, at), MATURED, lambda: held_by_symbol(answered.filter(was_known(at))))
    joined = pl.DataFrame({"symbol": list(symbols)}, schema={"symbol": pl.String})
    for frame in (bars, forecasts, held):
        joined = joined.join(frame, on="symbol", how="left", maintain_order="left")
    regimes = tables.known(REGIMES, at).filter(pl.col("market") == tables.market.index)
    regime = pl.lit(regimes["regime"][-1] if regimes.height else None, dtype=pl.String)
    overlap = pl.lit(overlap_of(tables.market, horizon))
    return joined.with_columns(pl.col(COUNTS).fill_null(0), overlap.alias("overlap"), regime.alias("regime"))


def watch_rows(tables: KnownTables, watched: pl.DataFrame, horizon: int, at: datetime) -> list[api.WatchRow]:
    """Return the rows of one part of a watch list, each with the record of its bands.

    Replayed bands are read for the symbols of this part alone, and of these for those that need them.

    Parameters
    ----------
    watched
        Rows of `watched_symbols` for the same horizon and instant.
    """
    in_replay = _in_replay(tables, watched, horizon, at)
    rows = []
    for row in watched.iter_rows(named=True):
        band = band_record(**{name: row.pop(name) for name in (*COUNTS, "overlap")})
        rows.append(api.WatchRow(**row, band=band, band_in_replay=in_replay.get(row["symbol"])))
    return rows


def _in_replay(tables: KnownTables, watched: pl.DataFrame, horizon: int, at: datetime) -> dict[str, api.BandRecord]:
    """Return the record of replayed bands by symbol, of those with too few answered outcomes."""
    few = watched.filter(pl.col("outcomes") < LEAST_OUTCOMES)["symbol"].to_list()
    if not few:
        return {}
    counted = held_in_replay(tables, few, horizon, at)
    counts = {row.pop("symbol"): row for row in counted.select("symbol", *COUNTS).iter_rows(named=True)}
    none, overlap = dict.fromkeys(COUNTS, 0), overlap_of(tables.market, horizon)
    return {symbol: replayed_record(**counts.get(symbol, none), overlap=overlap) for symbol in few}


def _recent(tables: KnownTables, spec: TableSpec, at: datetime) -> pl.LazyFrame:
    """Rows that were known at an instant, of the time before it; restated ones beside those they replace."""
    rows = tables.reader.scan(spec) if tables.reader.exists(spec) else spec.empty().lazy()
    return rows.filter(was_known(at), pl.col("event_time") > at - LOOK_BACK)


def _last_bars(tables: KnownTables, at: datetime) -> pl.DataFrame:
    """Last bar of each symbol: ``symbol``, ``session``, ``sessions_old``, ``known_time``, closes and ``change``."""
    columns = ("symbol", "event_time", "known_time", "close", "close_traded")
    known = as_known(BARS, _recent(tables, BARS, at).select(columns).collect(), at)
    change = (pl.col("close") / pl.col("close").shift().over("symbol") - 1).alias("change")
    last = known.with_columns(change).unique("symbol", keep="last").sort("event_time")
    grid = tables.market.grid
    ages = {close: count_closes(close, at, grid) for close in last["event_time"].unique()}
    return last.select(
        "symbol",
        sessions_of(last["event_time"], grid).alias("session"),
        pl.col("event_time").replace_strict(ages, return_dtype=pl.Int64).alias("sessions_old"),
        "known_time",
        "close",
        pl.col("close_traded").alias("price_traded"),
        "change",
    )


def _last_forecasts(tables: KnownTables, horizon: int, at: datetime) -> pl.DataFrame:
    """Newest answered forecast of each symbol, and by how much its median differs from that of the close before."""
    asked = _recent(tables, FORECASTS, at).filter(ANSWERED, pl.col("horizon_sessions") == horizon)
    shown = ("forecast_id", "p10", "p50", "p90", "target_session")
    columns = ("symbol", "event_time", "known_time", "made_at", *shown)
    of_close = asked.select(columns).collect().sort("symbol", "event_time", "known_time", "made_at")
    newest = of_close.unique(["symbol", "event_time"], keep="last", maintain_order=True)
    difference = (pl.col("p50") - pl.col("p50").shift().over("symbol")).alias("since_previous")
    last = newest.with_columns(difference).unique("symbol", keep="last")
    return last.select("symbol", *shown, "since_previous", pl.col("known_time").alias("forecast_known_time"))


def _answered(tables: KnownTables, horizon: int) -> pl.DataFrame:
    """Whether the band held of every matured forecast that was answered, the first of each symbol and close.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``event_time``, ``known_time`` (when both forecast and outcome were known) and ``is_covered``.
    """
    none = pl.DataFrame(schema={name: FORECASTS.schema.get(name, pl.Boolean) for name in HELD})
    if not (tables.reader.exists(FORECASTS) and tables.reader.exists(OUTCOMES)):
        return none
    columns = ("forecast_id", "symbol", "event_time", "known_time", "made_at")
    asked = tables.reader.scan(FORECASTS).filter(ANSWERED, pl.col("horizon_sessions") == horizon)
    made = asked.select(columns).collect()
    if made.is_empty():
        return none
    # The replays of every model have outcomes too, of many more years: a horizon ends after the close it began at.
    matured = tables.reader.scan(OUTCOMES).filter(pl.col("event_time") >= made["event_time"].min())
    outcomes = matured.select("forecast_id", "is_covered", pl.col("known_time").alias("matured"))
    joined = made.lazy().join(outcomes, on="forecast_id").with_columns(pl.max_horizontal("known_time", "matured"))
    first = joined.sort("made_at").unique(["symbol", "event_time"], keep="first")
    return first.select(HELD).collect()
