"""Size of companies as it was known at each close, by dollar volume, and the record of forecasts by size.

No table holds what companies are worth. What is traded of them is held: of each close the symbols are ranked by the
median of close times volume over the last sessions, and cut into thirds.
"""

from datetime import datetime

import polars as pl

from lake.tables import BARS, FORECAST_DECISIONS, FORECASTS, OUTCOMES
from serving import api
from serving.history.calibration import matured_among
from serving.history.forecasts import made_by
from serving.history.known import KnownTables, was_known
from serving.history.outcomes import once_each
from serving.history.records import ClosesOf, by_close, group_record, overlap_of

WINDOW, FEWEST_BARS = 60, 20
"""Bars whose dollar volume counts, and fewest of them that must be known."""
THIRDS = ("small", "middle", "large")
UNKNOWN_SIZE = "volume not known"
SIZES = pl.Schema({"symbol": pl.String(), "event_time": BARS.schema["event_time"], "size": pl.String()})


def sizes_at_closes(bars: pl.DataFrame, decided_after: pl.Expr) -> pl.DataFrame:
    """Return the size of each symbol at each of its closes, from what was known when that close was decided.

    A bar counts in the form in which it was first known, and only if it was known by the decision of its own close: no
    size rests on a bar that came, or was corrected, later. Where a close has fewer than three sized symbols, none is.

    Parameters
    ----------
    bars
        ``symbol``, ``event_time``, ``known_time``, ``close`` and ``volume``; restated bars beside those they replace.
    decided_after
        Time from a close to its decisions.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``event_time`` and ``size``: one of `THIRDS`, null where fewer than 20 of the last 60 bars have a
        known volume.
    """
    first = bars.sort("event_time", "symbol", "known_time").unique(
        ["symbol", "event_time"], keep="first", maintain_order=True
    )
    in_time = pl.col("known_time") <= pl.col("event_time") + decided_after
    traded = pl.when(in_time).then(pl.col("close") * pl.col("volume"))
    rolling = traded.rolling_median(WINDOW, min_samples=FEWEST_BARS).over("symbol").alias("traded")
    ranked = first.with_columns(rolling).with_columns(
        pl.col("traded").rank("ordinal").over("event_time").alias("rank"),
        pl.col("traded").count().over("event_time").alias("sized"),
    )
    third = ((pl.col("rank") - 1) * len(THIRDS) // pl.col("sized")).cast(pl.Int64)
    size = pl.when(pl.col("sized") >= len(THIRDS)).then(third.replace_strict(dict(enumerate(THIRDS)), default=None))
    return ranked.select("symbol", "event_time", size.alias("size")).cast(SIZES)


def records_by_size(
    tables: KnownTables, horizon: int, at: datetime, *, model: str | None = None
) -> list[api.GroupRecord]:
    """Return the records of matured forecasts by the size that their symbol had at their close.

    Parameters
    ----------
    horizon
        As the tables count it.
    model
        One model's replays; by default the forecasts that were answered.

    Returns
    -------
    list of GroupRecord
        The largest first, then the symbols whose volume is not known; empty where nothing has matured, or no symbol
        has a size.
    """
    versioned = (FORECASTS, OUTCOMES, FORECAST_DECISIONS, BARS)
    closes = tables.kept(
        ("records by size", horizon, model, at), versioned, lambda: _closes(tables, horizon, at, model)
    )
    if closes.filter(pl.col("size").is_in(THIRDS)).is_empty():
        return []
    overlap = overlap_of(tables.market, horizon)
    groups = closes.partition_by("size", as_dict=True, maintain_order=True)
    return [
        group_record(name, ClosesOf(groups[name,], overlap))
        for name in (*reversed(THIRDS), UNKNOWN_SIZE)
        if (name,) in groups
    ]


def _closes(tables: KnownTables, horizon: int, at: datetime, model: str | None) -> pl.DataFrame:
    which = made_by(model)
    matured = once_each(matured_among(tables, horizon, which, at).filter(which)).collect()
    beside = matured.join(_sizes(tables, at), on=["symbol", "event_time"], how="left")
    return by_close(beside.with_columns(pl.col("size").fill_null(UNKNOWN_SIZE)).lazy(), "size").collect()


def _sizes(tables: KnownTables, at: datetime) -> pl.DataFrame:
    """Return sizes of every symbol but the index."""
    if not tables.reader.exists(BARS):
        return pl.DataFrame(schema=SIZES)
    market = tables.market
    asked = tables.reader.scan(BARS).filter(was_known(at), pl.col("symbol") != market.index)
    bars = asked.select("symbol", "event_time", "known_time", "close", "volume").collect()
    return sizes_at_closes(bars, pl.lit(market.decided_after))
