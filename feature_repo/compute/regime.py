"""The state of the market at a close, from what was known then."""

import math

import polars as pl

from feature_repo.compute.volatility import SESSIONS_PER_YEAR

VOLATILITY_SESSIONS = 20
MEDIAN_SESSIONS = 252
MEDIAN_AT_LEAST = 126
TREND_SESSIONS = 200
DRIFT_SESSIONS = 60
SPREAD_SESSIONS = 60
MEMBER_BARS = SPREAD_SESSIONS
"""Bars of a symbol before one that its standardised return follows from."""
CORRELATION_SESSIONS = 20
MEMBERS_AT_LEAST = 3
"""Fewer symbols than this with a bar at a close have no average correlation worth the name."""


def daily_return() -> pl.Expr:
    """Return close / previous close - 1."""
    return pl.col("close") / pl.col("close").shift(1) - 1


def volatility() -> pl.Expr:
    """Return the 20-session volatility of the index, per year."""
    return daily_return().rolling_std(VOLATILITY_SESSIONS) * math.sqrt(SESSIONS_PER_YEAR)


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


def drift() -> pl.Expr:
    """Return the t-statistic of the mean of the last 60 daily returns: which way the market goes, against its noise."""
    mean, spread = daily_return().rolling_mean(DRIFT_SESSIONS), daily_return().rolling_std(DRIFT_SESSIONS)
    return pl.when(spread > 0).then(mean / spread * math.sqrt(DRIFT_SESSIONS))


def average_correlation(members: pl.DataFrame) -> pl.DataFrame:
    """Compute the average correlation between the members of a market over the last 20 sessions.

    It is the equicorrelation of Engle and Kelly (*Dynamic Equicorrelation*, Journal of Business & Economic Statistics
    30, 2012): with ``u`` the returns of a session, each divided by its own 60-session standard deviation, the sum of
    ``(sum u)^2 - sum u^2`` over the sessions divided by the sum of ``(n - 1) sum u^2``. One pass over the bars, however
    many members there are, and members may come and go.

    Parameters
    ----------
    members
        Bars of every symbol but the index, one row per (symbol, event_time).

    Returns
    -------
    pl.DataFrame
        ``event_time, average_correlation``, sorted; null until 20 sessions have three members each.
    """
    return equicorrelation(session_sums(members))


def session_sums(members: pl.DataFrame) -> pl.DataFrame:
    """Sum over the members of a market what their average correlation at each session follows from.

    Parameters
    ----------
    members
        Bars of every symbol but the index, one row per (symbol, event_time). The sums of a session need the bars of
        its members at it and the `MEMBER_BARS` before.

    Returns
    -------
    pl.DataFrame
        ``event_time, total, own, n``: sum of ``u``, sum of ``u^2`` and number of the members that have one, in no
        particular order.
    """
    standard = (daily_return() / daily_return().rolling_std(SPREAD_SESSIONS)).over("symbol", order_by="event_time")
    known = members.select("event_time", standard.alias("u")).filter(pl.col("u").is_finite())
    return known.group_by("event_time").agg(
        pl.col("u").sum().alias("total"), (pl.col("u") ** 2).sum().alias("own"), pl.len().alias("n")
    )


def equicorrelation(sums: pl.DataFrame) -> pl.DataFrame:
    """Return the average correlation that `session_sums` give; see `average_correlation`."""
    enough = sums.filter(pl.col("n") >= MEMBERS_AT_LEAST).sort("event_time")
    shared = (pl.col("total") ** 2 - pl.col("own")).rolling_sum(CORRELATION_SESSIONS)
    return enough.select(
        "event_time",
        (shared / ((pl.col("n") - 1) * pl.col("own")).rolling_sum(CORRELATION_SESSIONS)).alias("average_correlation"),
    )
