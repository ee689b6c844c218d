"""How often and how far prices and volumes moved up and down."""

import math

import numpy as np

from feature_repo.compute.alpha.bar_shape import NEAR_ZERO
from feature_repo.compute.alpha.windows import window_count, window_mean, window_std, window_total
from feature_repo.compute.kernel import Bars, kernel


@kernel
def share_of_moves(price: Bars, window: int, of_rises: float, of_falls: float) -> Bars:
    """Return a weighted share of the bars on which the price rose and fell.

    A move from or to a missing price counts as none, the first bar's included, so the share is always known.
    """
    moves = np.zeros(price.size)
    for t in range(1, price.size):
        if price[t] > price[t - 1]:
            moves[t] = of_rises
        elif price[t] < price[t - 1]:
            moves[t] = of_falls
    return window_total(moves, window) / window_count(moves, window)


@kernel
def share_of_change(values: Bars, window: int, of_gains: float, of_losses: float) -> Bars:
    """Return a weighted share of the gains and losses in the sum of all changes; NaN where no change is known."""
    counted, size = np.full(values.size, math.nan), np.full(values.size, math.nan)
    for t in range(1, values.size):
        change = values[t] - values[t - 1]
        size[t] = abs(change)
        counted[t] = change * of_gains if change > 0 else -change * of_losses
    known, part, whole = window_count(size, window), window_total(counted, window), window_total(size, window)
    for t in range(values.size):
        part[t] = part[t] / (whole[t] + NEAR_ZERO) if known[t] > 0 else math.nan
    return part


@kernel
def weighted_volatility(price: Bars, volume: Bars, window: int) -> Bars:
    """Return the deviation of the moves weighted by volume against their mean; moves are |r| V."""
    moves = np.full(price.size, math.nan)
    for t in range(1, price.size):
        moves[t] = abs(price[t] / price[t - 1] - 1) * volume[t]
    return window_std(moves, window) / (window_mean(moves, window) + NEAR_ZERO)
