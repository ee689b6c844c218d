"""Rows of a watch list: last bar, newest forecast and the record of its band, for every symbol from one scan each."""

from collections.abc import Iterable, Sequence
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


def watch_list(tables: KnownTables, symbols: Sequence[str], horizon: int, at: datetime) -> list[api.WatchRow]:
    """Return what was known of some symbols at an instant, in their order; an unknown symbol has nulls.

    Parameters
    ----------
    horizon
        As the tables count it.

    Notes
    -----
    The tables are read once for all symbols of the market and kept until one of them has a new version, so that
    further pages, sorts and filters of the same instant cost no read.
    """
    bars = tables.kept(("last bars", at), (BARS,), lambda: _last_bars(tables, at))
    forecasts = tables.kept(
        ("last forecasts", horizon, at), (FORECASTS, FORECAST_DECISIONS), lambda: _last_forecasts(tables, horizon, at)
    )
    matured = (FORECASTS, OUTCOMES, FORECAST_DECISIONS)
    answered = tables.kept(("answered", horizon), matured, lambda: _answered(tables, horizon))
    held = tables.kept(("held", horizon, at), matured, lambda: held_by_symbol(answered.filter(was_known(at))))
    asked = pl.DataFrame({"symbol": list(symbols)}, schema={"symbol": pl.String})
    joined = asked
    for frame in (bars, forecasts, held):
        joined = joined.join(frame, on="symbol", how="left", maintain_order="left")
    joined = joined.with_columns(pl.col(COUNTS).fill_null(0))
    joined = joined.join(_replayed(tables, joined, horizon, at), on="symbol", how="left", maintain_order="left")
    regimes = tables.known(REGIMES, at).filter(pl.col("market") == tables.market.index)
    regime = regimes["regime"][-1] if regimes.height else None
    return list(_rows(tables, joined, at, regime, overlap_of(tables.market, horizon)))


def _rows(
    tables: KnownTables, joined: pl.DataFrame, at: datetime, regime: str | None, overlap: int
) -> Iterable[api.WatchRow]:
    grid = tables.market.grid
    ages = {close: count_closes(close, at, grid) for close in joined["bar_close"].unique().drop_nulls()}
    for row in joined.iter_rows(named=True):
        close = row.pop("bar_close")
        answered = {name: row.pop(name) for name in COUNTS}
        replayed = {name: row.pop(f"replayed_{name}") or 0 for name in COUNTS}
        band = band_record(**answered, overlap=overlap)
        in_replay = None if band.is_enough else replayed_record(**replayed, overlap=overlap)
        yield api.WatchRow(**row, sessions_old=ages.get(close), regime=regime, band=band, band_in_replay=in_replay)


def _replayed(tables: KnownTables, answered: pl.DataFrame, horizon: int, at: datetime) -> pl.DataFrame:
    """Counts of the replayed bands, ``replayed_`` before their names; read only where one symbol needs them."""
    names = {name: f"replayed_{name}" for name in COUNTS}
    if answered.filter(pl.col("outcomes") < LEAST_OUTCOMES).is_empty():
        return pl.DataFrame(schema={"symbol": pl.String, **dict.fromkeys(names.values(), pl.Int64)})
    return held_in_replay(tables, horizon, at).rename(names)


def _recent(tables: KnownTables, spec: TableSpec, at: datetime) -> pl.LazyFrame:
    """Rows that were known at an instant, of the time before it; restated ones beside those they replace."""
    rows = tables.reader.scan(spec) if tables.reader.exists(spec) else spec.empty().lazy()
    return rows.filter(was_known(at), pl.col("event_time") > at - LOOK_BACK)


def _last_bars(tables: KnownTables, at: datetime) -> pl.DataFrame:
    """Last bar of each symbol: ``symbol``, ``session``, ``bar_close``, ``known_time``, closes and ``change``."""
    columns = ("symbol", "event_time", "known_time", "close", "close_traded")
    known = as_known(BARS, _recent(tables, BARS, at).select(columns).collect(), at)
    change = (pl.col("close") / pl.col("close").shift().over("symbol") - 1).alias("change")
    last = known.with_columns(change).unique("symbol", keep="last").sort("event_time")
    return last.select(
        "symbol",
        sessions_of(last["event_time"], tables.market.grid).alias("session"),
        pl.col("event_time").alias("bar_close"),
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
    if not (tables.reader.exists(FORECASTS) and tables.reader.exists(OUTCOMES)):
        return pl.DataFrame(schema={name: FORECASTS.schema.get(name, pl.Boolean) for name in HELD})
    made = tables.reader.scan(FORECASTS).filter(ANSWERED, pl.col("horizon_sessions") == horizon)
    outcomes = tables.reader.scan(OUTCOMES).select("forecast_id", "is_covered", pl.col("known_time").alias("matured"))
    forecasts = made.select("forecast_id", "symbol", "event_time", "known_time", "made_at")
    joined = forecasts.join(outcomes, on="forecast_id").with_columns(pl.max_horizontal("known_time", "matured"))
    first = joined.sort("made_at").unique(["symbol", "event_time"], keep="first")
    return first.select(HELD).collect()
