"""How far prices swing: volatility of returns and Wilder's average true range."""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.returns import simple_return
from feature_repo.compute.rolling import rolling_std, seeded_mean

SESSIONS_PER_YEAR = 252


@kernel
def annualised_volatility(price: Bars, sessions: int) -> Bars:
    """Return the sample standard deviation of the last n one-bar returns x sqrt(252), from bar n + 1 on."""
    return rolling_std(simple_return(price, 1), sessions) * math.sqrt(SESSIONS_PER_YEAR)


@kernel
def ewma_volatility(price: Bars, decay: float) -> Bars:
    """Return the root of the exponential mean of squared one-bar returns x sqrt(252), from bar 21 on.

    The mean starts as the plain one of the first 20 squares (J. P. Morgan, *RiskMetrics Technical Document*, 1996, with
    a decay of 0.94 for days).
    """
    squares = simple_return(price, 1) ** 2
    return np.sqrt(seeded_mean(squares, 1 - decay, 20, 20) * SESSIONS_PER_YEAR)


@kernel
def average_true_range(high: Bars, low: Bars, close: Bars, sessions: int) -> Bars:
    """Return Wilder's average true range on the adjusted prices; NaN where a bar has no high and low.

    The true range is the largest of ``high - low``, ``|high - P_{t-1}|`` and ``|low - P_{t-1}|``, known from the second
    bar; the average starts as the mean of the first n true ranges (J. Welles Wilder, *New Concepts in Technical
    Trading Systems*, 1978; the same seeding as TA-Lib's ATR).
    """
    true_range = np.full(close.size, np.nan)
    for t in range(1, close.size):
        true_range[t] = max(high[t], close[t - 1]) - min(low[t], close[t - 1])
        if math.isnan(high[t]) or math.isnan(low[t]):
            true_range[t] = np.nan
    return seeded_mean(true_range, 1 / sessions, sessions, sessions)


@kernel
def relative_true_range(high: Bars, low: Bars, close: Bars, sessions: int) -> Bars:
    """Return the average true range as a fraction of the close."""
    return average_true_range(high, low, close, sessions) / close
