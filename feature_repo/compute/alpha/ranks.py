"""Order within the last n bars: extremes, how long ago they were, quantiles and ranks."""

import math

import numpy as np

from feature_repo.compute.alpha.bar_shape import NEAR_ZERO
from feature_repo.compute.alpha.windows import window_max
from feature_repo.compute.kernel import Bars, kernel

HIGHEST, LOWEST = 1.0, -1.0


@kernel
def relative_extreme(price: Bars, close: Bars, window: int, side: float) -> Bars:
    """Return the highest (side 1) or lowest (side -1) known price of the window against the close."""
    return side * window_max(side * price, window) / close


@kernel
def stochastic_value(high: Bars, low: Bars, close: Bars, window: int) -> Bars:
    """Return where the close lies between the lowest low (0) and the highest high (1) of the window."""
    lowest = -window_max(-low, window)
    return (close - lowest) / (window_max(high, window) - lowest + NEAR_ZERO)


@kernel
def extreme_position(price: Bars, window: int, side: float) -> Bars:
    """Return the place of the highest (side 1) or lowest (side -1) price in the window, as a share of its length.

    Places count from 1 at the oldest bar there is; the first of equal prices counts. As in Qlib, a missing price is
    taken for the extreme: the place is then that of the first one. NaN where no price is known.
    """
    out = np.full(price.size, np.nan)
    best, missing, last_known = -1, 0, -1
    for t in range(price.size):
        begin = max(0, t - window + 1)
        if not math.isnan(price[t]):
            last_known = t
        while missing < begin or (missing <= t and not math.isnan(price[missing])):
            missing += 1
        if missing <= t:
            best = -1
            if last_known >= begin:
                out[t] = (missing - begin + 1) / window
            continue
        first_unseen = t if best >= begin else begin
        best = max(best, begin)
        for i in range(first_unseen, t + 1):
            if side * price[i] > side * price[best]:
                best = i
        out[t] = (best - begin + 1) / window
    return out


@kernel
def extreme_distance(high: Bars, low: Bars, window: int) -> Bars:
    """Return how many bars the highest high lies after the lowest low, as a share of the window's length."""
    return extreme_position(high, window, HIGHEST) - extreme_position(low, window, LOWEST)


@kernel
def relative_quantile(price: Bars, window: int, share: float) -> Bars:
    """Return the quantile of the known prices of the window, interpolated linearly, against the newest."""
    out = np.full(price.size, np.nan)
    ordered = np.empty(window + 1)
    known = 0
    for t in range(price.size):
        if t >= window and not math.isnan(price[t - window]):
            place = 0
            while ordered[place] != price[t - window]:
                place += 1
            for i in range(place, known - 1):
                ordered[i] = ordered[i + 1]
            known -= 1
        if math.isnan(price[t]):
            continue
        place = known
        while place > 0 and ordered[place - 1] > price[t]:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = price[t]
        known += 1
        exact = share * (known - 1)
        below = int(exact)
        above = min(below + 1, known - 1)
        out[t] = (ordered[below] + (ordered[above] - ordered[below]) * (exact - below)) / price[t]
    return out


@kernel
def rank(price: Bars, window: int) -> Bars:
    """Return the share of the window's known prices that lie at or below the newest; equal ones count by half."""
    out = np.full(price.size, np.nan)
    for t in range(price.size):
        if math.isnan(price[t]):
            continue
        below, equal, known = 0, 0, 0
        for i in range(max(0, t - window + 1), t + 1):
            below += price[i] < price[t]
            equal += price[i] == price[t]
            known += not math.isnan(price[i])
        out[t] = (below + (equal + 1) / 2) / known
    return out
