"""Bars to the regime of the market at each close."""

import polars as pl

from feature_repo.compute import regime
from lake.tables import REGIMES
from lake.universe import MARKET

REGIME_EXPRESSIONS: tuple[pl.Expr, ...] = (
    regime.volatility_state().alias("volatility_state"),
    regime.trend_state().alias("trend_state"),
    regime.volatility().alias("volatility"),
    regime.trend_gap().alias("trend_gap"),
)
"""What is told of the index at each close; both states together name the regime."""


def compute_regimes(bars: pl.DataFrame, *, market: str = MARKET) -> pl.DataFrame:
    """Compute the regime of the market at each close of the index, in the columns of `regimes`.

    The first rows lack the means they compare with and are left out: a session without a regime has no row.
    """
    index = bars.filter(pl.col("symbol") == market).sort("event_time")
    states = index.select(
        pl.col("symbol").alias("market"),
        "event_time",
        pl.col("known_time").cum_max(),
        *REGIME_EXPRESSIONS,
    ).drop_nulls()
    return states.with_columns((pl.col("volatility_state") + "_" + pl.col("trend_state")).alias("regime")).select(
        REGIMES.names
    )
