"""How a symbol moves with the index, and whether that has changed."""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.returns import simple_return
from feature_repo.compute.rolling import rolling_covariance, rolling_variance

TWO_SIDED_95 = 1.959963984540054
"""Quantile of the standard normal distribution that 2.5 % exceed."""
LARGEST = 1 - 1e-6
"""Correlation from which on rounding decides by how many standard errors it differs: a symbol that is its own index."""


@kernel
def market_correlation(close: Bars, market_close: Bars, sessions: int) -> Bars:
    """Return Pearson's correlation of the last n own and market returns, -1 to 1; NaN where either stood still.

    The market's return is taken between the same two instants as the symbol's own.
    """
    own, market = simple_return(close, 1), simple_return(market_close, 1)
    scale = np.sqrt(rolling_variance(own, sessions) * rolling_variance(market, sessions))
    correlation = rolling_covariance(own, market, sessions) / scale
    return np.where(scale > 0, np.minimum(np.maximum(correlation, -1.0), 1.0), np.nan)


@kernel
def correlation_shift_score(close: Bars, market_close: Bars, short: int, long: int) -> Bars:
    """Return by how many standard errors the correlation of the last `short` returns differs from that before.

    ``(atanh(c) - atanh(C)) / sqrt(1 / (short - 3) + 1 / (long - 3))``, c of the last `short` returns and C of the
    `long` returns before them: the two share no return, as the test wants it (R. A. Fisher, *On the 'Probable Error'
    of a Coefficient of Correlation Deduced from a Small Sample*, 1921). NaN where either is -1 or 1, to a millionth.
    """
    recent, before = market_correlation(close, market_close, short), market_correlation(close, market_close, long)
    error = math.sqrt(1 / (short - 3) + 1 / (long - 3))
    out = np.full(close.size, np.nan)
    for t in range(short, close.size):
        if abs(recent[t]) < LARGEST and abs(before[t - short]) < LARGEST:
            out[t] = (math.atanh(recent[t]) - math.atanh(before[t - short])) / error
    return out


@kernel
def has_correlation_shifted(close: Bars, market_close: Bars, short: int, long: int) -> Bars:
    """Return 1 where `correlation_shift_score` lies beyond -/+ 1.96, else 0: the two-sided test at 5 %."""
    score = correlation_shift_score(close, market_close, short, long)
    return np.where(np.isnan(score), np.nan, np.where(np.abs(score) > TWO_SIDED_95, 1.0, 0.0))
