"""The market around a symbol: how the symbol moves with it."""

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.returns import simple_return
from feature_repo.compute.rolling import rolling_covariance, rolling_variance

MARKET_SESSIONS = 20
"""Returns in the market's own volatility."""


@kernel
def as_given(values: Bars) -> Bars:
    """Return the values of a column as they are."""
    return values.copy()


@kernel
def market_beta(close: Bars, market_close: Bars, sessions: int) -> Bars:
    """Return the sample covariance of own and market returns over the market's sample variance, last n returns.

    The market's return is taken between the same two instants as the symbol's own, so a bar the symbol lacks does not
    set a two-session return against a one-session one. NaN where the market lacks a bar or stood still.
    """
    own, market = simple_return(close, 1), simple_return(market_close, 1)
    variance = rolling_variance(market, sessions)
    covariance = rolling_covariance(own, market, sessions)
    out = np.full(close.size, np.nan)
    for t in range(close.size):
        if variance[t] > 0:
            out[t] = covariance[t] / variance[t]
    return out
