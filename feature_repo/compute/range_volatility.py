"""Volatility from the range of each bar, and volatility now against volatility before."""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.returns import simple_return
from feature_repo.compute.rolling import rolling_mean, rolling_std
from feature_repo.compute.volatility import SESSIONS_PER_YEAR


@kernel
def parkinson_volatility(high: Bars, low: Bars, sessions: int) -> Bars:
    """Return ``sqrt(mean(ln(high / low)^2) / (4 ln 2) x 252)`` over the last n bars.

    Michael Parkinson, *The Extreme Value Method for Estimating the Variance of the Rate of Return*, 1980.
    """
    variance = rolling_mean(np.log(high / low) ** 2, sessions) / (4 * math.log(2))
    return np.sqrt(variance * SESSIONS_PER_YEAR)


@kernel
def garman_klass_volatility(open_: Bars, high: Bars, low: Bars, close: Bars, sessions: int) -> Bars:
    """Return ``sqrt(mean(ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2) x 252)`` over the last n bars.

    Mark Garman and Michael Klass, *On the Estimation of Security Price Volatilities from Historical Data*, 1980. It is
    blind to what happens between a close and the next open.
    """
    swing, drift = np.log(high / low) ** 2, np.log(close / open_) ** 2
    variance = rolling_mean(swing / 2 - (2 * math.log(2) - 1) * drift, sessions)
    return np.sqrt(variance * SESSIONS_PER_YEAR)


@kernel
def volatility_ratio(close: Bars, short: int, long: int) -> Bars:
    """Return the deviation of the last `short` one-bar returns over that of the last `long`; NaN where these stood."""
    returns = simple_return(close, 1)
    usual = rolling_std(returns, long)
    return np.where(usual > 0, rolling_std(returns, short) / usual, np.nan)
