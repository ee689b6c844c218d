"""The market around a symbol: its return and volatility, and how the symbol moves with it."""

import polars as pl

from feature_repo.compute.returns import simple_return
from feature_repo.compute.volatility import annualised_volatility

MARKET_SESSIONS = 20


def market_context(market_bars: pl.DataFrame) -> pl.DataFrame:
    """Describe the market at each of its closes, to be joined to every symbol on the same instant.

    Parameters
    ----------
    market_bars
        Bars of the index alone, one row per `event_time`.

    Returns
    -------
    pl.DataFrame
        ``event_time, market_close, market_return`` (one bar), ``market_volatility`` (20 returns, per year) and
        ``market_known_time``, the latest `known_time` among the index's bars so far.
    """
    return market_bars.sort("event_time").select(
        "event_time",
        pl.col("close").alias("market_close"),
        simple_return(1).alias("market_return"),
        annualised_volatility(MARKET_SESSIONS).alias("market_volatility"),
        pl.col("known_time").cum_max().alias("market_known_time"),
    )


def market_beta(sessions: int) -> pl.Expr:
    """Return the sample covariance of own and market returns over the market's sample variance, last n returns.

    The market's return is taken between the same two instants as the symbol's own, so a bar the symbol lacks does not
    set a two-session return against a one-session one. Null where the market lacks a bar or stood still.
    """
    own, market = simple_return(1), simple_return(1, "market_close")
    variance = market.rolling_var(sessions)
    return pl.when(variance > 0).then(pl.rolling_cov(own, market, window_size=sessions) / variance)
