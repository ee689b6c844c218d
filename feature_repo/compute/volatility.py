"""How far prices swing: volatility of returns and Wilder's average true range."""

import math

import polars as pl

from feature_repo.compute.returns import simple_return
from feature_repo.compute.smoothing import wilder_mean

SESSIONS_PER_YEAR = 252


def annualised_volatility(sessions: int, price: str = "close") -> pl.Expr:
    """Return the sample standard deviation of the last n one-bar returns x sqrt(252).

    Polars' rolling variance keeps central moments, so an extreme return leaves no trace once it has left the window.

    Parameters
    ----------
    sessions
        Returns in the window; ``sessions + 1`` bars are needed.
    price
        Column of prices.
    """
    return simple_return(1, price).rolling_std(sessions) * math.sqrt(SESSIONS_PER_YEAR)


def average_true_range(sessions: int) -> pl.Expr:
    """Return Wilder's average true range on the adjusted prices; null where a bar has no high and low.

    The true range is the largest of ``high - low``, ``|high - P_{t-1}|`` and ``|low - P_{t-1}|``, known from the second
    bar; the average starts as the mean of the first n true ranges (J. Welles Wilder, *New Concepts in Technical
    Trading Systems*, 1978; the same seeding as TA-Lib's ATR).
    """
    high, low, before = pl.col("high"), pl.col("low"), pl.col("close").shift(1)
    true_range = pl.max_horizontal(high, before) - pl.min_horizontal(low, before)
    is_known = high.is_not_null() & low.is_not_null() & before.is_not_null()
    return wilder_mean(pl.when(is_known).then(true_range), sessions)
