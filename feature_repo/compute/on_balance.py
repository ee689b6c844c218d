"""Volume with the direction of the price, and the price weighted by volume."""

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.rolling import rolling_mean


@kernel
def on_balance_volume(close: Bars, volume: Bars, sessions: int) -> Bars:
    """Return the volume of the last n bars that closed higher minus that of those that closed lower, in shares.

    It is what Granville's running total (Joseph Granville, *New Key to Stock Market Profits*, 1963) gained over the
    last n bars. The total itself is no feature, because it depends on where the history begins.
    """
    signed = np.full(close.size, np.nan)
    for t in range(1, close.size):
        signed[t] = np.sign(close[t] - close[t - 1]) * volume[t]
    return rolling_mean(signed, sessions) * sessions


@kernel
def on_balance_share(close: Bars, volume: Bars, sessions: int) -> Bars:
    """Return `on_balance_volume` as a share of the volume of the same bars, -1 to 1; NaN where nothing was traded."""
    traded = rolling_mean(volume, sessions) * sessions
    share = on_balance_volume(close, volume, sessions) / traded
    return np.where(traded > 0, np.minimum(np.maximum(share, -1.0), 1.0), np.nan)


@kernel
def volume_weighted_price(high: Bars, low: Bars, close: Bars, volume: Bars, sessions: int) -> Bars:
    """Return the mean of the typical price ``(high + low + close) / 3`` over the last n bars, weighted by volume.

    A stand-in for the volume-weighted average price of the trades, which daily bars do not hold. NaN where nothing was
    traded.
    """
    weight = rolling_mean(volume, sessions)
    weighted = rolling_mean((high + low + close) / 3 * volume, sessions)
    return np.where(weight > 0, weighted / weight, np.nan)


@kernel
def volume_weighted_gap(high: Bars, low: Bars, close: Bars, volume: Bars, sessions: int) -> Bars:
    """Return how far the close lies above `volume_weighted_price`, as a fraction of it."""
    return close / volume_weighted_price(high, low, close, volume, sessions) - 1
