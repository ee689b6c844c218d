"""The state of the market at a close, from what was known then."""

import math

import polars as pl

from feature_repo.compute.volatility import SESSIONS_PER_YEAR

VOLATILITY_SESSIONS = 20
MEDIAN_SESSIONS = 252
MEDIAN_AT_LEAST = 126
TREND_SESSIONS = 200


def volatility() -> pl.Expr:
    """Return the 20-session volatility of the index, per year."""
    returns = pl.col("close") / pl.col("close").shift(1) - 1
    return returns.rolling_std(VOLATILITY_SESSIONS) * math.sqrt(SESSIONS_PER_YEAR)


def volatility_state() -> pl.Expr:
    """Return high_volatility where the volatility exceeds its own trailing median, else low_volatility.

    The median is over the last 252 sessions, or as many as there are from 126 on; null before that.
    """
    median = volatility().rolling_median(MEDIAN_SESSIONS, min_samples=MEDIAN_AT_LEAST)
    return (
        pl.when(volatility() > median)
        .then(pl.lit("high_volatility"))
        .when(median.is_not_null())
        .then(pl.lit("low_volatility"))
    )


def trend_gap() -> pl.Expr:
    """Return close / mean of the last 200 closes - 1; null before there are 200."""
    return pl.col("close") / pl.col("close").rolling_mean(TREND_SESSIONS) - 1


def trend_state() -> pl.Expr:
    """Return uptrend where the close lies at or above its 200-session mean, else downtrend."""
    return pl.when(trend_gap() >= 0).then(pl.lit("uptrend")).when(trend_gap() < 0).then(pl.lit("downtrend"))
