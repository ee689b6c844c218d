"""Bars to technical features: every declared expression, over all symbols at once. No network, no state."""

from collections.abc import Sequence

import polars as pl

from feature_repo.catalog import TECHNICAL
from feature_repo.compute.market import market_context
from feature_repo.spec import Feature
from lake.universe import MARKET


def compute_technical(
    bars: pl.DataFrame, features: Sequence[Feature] = TECHNICAL, *, market: str = MARKET
) -> pl.DataFrame:
    """Compute features for every bar of every symbol.

    Parameters
    ----------
    bars
        Clean bars as of one instant, one row per (symbol, event_time), the index's among them.
    features
        What to compute; by default the whole technical catalog.
    market
        Symbol of the index: context for the others, no row of its own.

    Returns
    -------
    pl.DataFrame
        ``symbol, event_time, known_time`` and one Float64 column per feature, sorted by symbol and event_time. A value
        the bars cannot support is null, never NaN. `known_time` is the latest among the bars the row may have used:
        those of the symbol and of the index up to its close. Without bars of the index its features are null.
    """
    own = bars.filter(pl.col("symbol") != market).sort("symbol", "event_time")
    context = market_context(bars.filter(pl.col("symbol") == market))
    joined = own.join(context.drop("market_known_time"), on="event_time", how="left", maintain_order="left")
    known = _known_times(own, context)
    values = [feature.expression.cast(pl.Float64).over("symbol").alias(feature.name) for feature in features]
    computed = joined.with_columns(known).select("symbol", "event_time", "known_time", *values)
    names = [feature.name for feature in features]
    return computed.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in names)


def _known_times(own: pl.DataFrame, context: pl.DataFrame) -> pl.Series:
    """Latest known_time among a symbol's and the index's bars up to each row, in the order of `own`."""
    index = context.select("event_time", "market_known_time")
    placed = own.select("symbol", "event_time", "known_time").with_row_index()
    placed = placed.sort("event_time").join_asof(index, on="event_time", strategy="backward").sort("index")
    return placed.select(
        pl.max_horizontal(pl.col("known_time").cum_max().over("symbol"), "market_known_time").alias("known_time")
    ).to_series()
