"""Prices, their means and deviations, against the newest of them. Volumes use the same kernels with a guard."""

import numpy as np

from feature_repo.compute.alpha.windows import window_mean, window_std
from feature_repo.compute.kernel import Bars, kernel


@kernel
def relative_price(price: Bars, close: Bars) -> Bars:
    """Return a price of the bar against its close."""
    return price / close


@kernel
def relative_typical_price(high: Bars, low: Bars, close: Bars) -> Bars:
    """Return the mean of high, low and close against the close: bars have no volume-weighted price."""
    return (high + low + close) / 3 / close


@kernel
def earlier_price(price: Bars, sessions: int) -> Bars:
    """Return the price n bars ago against the newest."""
    out = np.full(price.size, np.nan)
    for t in range(sessions, price.size):
        out[t] = price[t - sessions] / price[t]
    return out


@kernel
def relative_mean(values: Bars, window: int, guard: float) -> Bars:
    """Return the mean of the window against the newest value, which `guard` keeps from zero."""
    return window_mean(values, window) / (values + guard)


@kernel
def relative_std(values: Bars, window: int, guard: float) -> Bars:
    """Return the sample standard deviation of the window against the newest value, which `guard` keeps from zero."""
    return window_std(values, window) / (values + guard)
