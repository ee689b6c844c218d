"""Statistics of the known values among the last n bars, or among as many as there are.

Sums are built so that a bar's value follows from its window alone, to the last bit: no running total carries the
rounding of bars that have left. Loops run over the window outside and over time inside, on slices: no index can be
negative there, which lets the compiler work on several bars at once.
"""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel


@kernel
def window_total(values: Bars, window: int) -> Bars:
    """Return the sum of the last n values, where a missing one adds nothing.

    Sums of 1, 2, 4, ... values are doubled up and pieced together: log2(n) additions a bar.
    """
    block, out = np.empty(values.size), np.zeros(values.size)
    for t in range(values.size):
        block[t] = 0.0 if math.isnan(values[t]) else values[t]
    taken, size = 0, 1
    while taken < min(window, values.size):
        if window & size:
            earlier, into = block[: values.size - taken], out[taken:]
            for t in range(into.size):
                into[t] += earlier[t]
            taken += size
        block = doubled(block, size)
        size *= 2
    return out


@kernel
def doubled(block: Bars, size: int) -> Bars:
    """Return sums of twice as many values from those of `size`."""
    out = block.copy()
    earlier, into = block[: max(0, block.size - size)], out[min(size, block.size) :]
    for t in range(into.size):
        into[t] += earlier[t]
    return out


@kernel
def window_count(values: Bars, window: int) -> Bars:
    """Return how many of the last n values are known."""
    out = np.empty(values.size)
    known = 0
    for t in range(values.size):
        known += not math.isnan(values[t])
        if t >= window:
            known -= not math.isnan(values[t - window])
        out[t] = known
    return out


@kernel
def window_mean(values: Bars, window: int) -> Bars:
    """Return the mean of the known values; NaN where none is known."""
    return window_total(values, window) / window_count(values, window)


@kernel
def latest_known(values: Bars) -> Bars:
    """Return the newest known value at each bar, the origin that the deviations of its window are taken from.

    An origin inside the window keeps equal values at a deviation of exactly zero and costs no more than a factor n of
    precision.
    """
    out = np.empty(values.size)
    latest = math.nan
    for t in range(values.size):
        if not math.isnan(values[t]):
            latest = values[t]
        out[t] = latest
    return out


@kernel
def window_moments(values: Bars, window: int) -> Bars:
    """Return the sums of the deviations from the latest known value, and of their squares, as ``[moment, bar]``."""
    origin, out = latest_known(values), np.zeros((2, values.size))
    for ago in range(min(window, values.size)):
        earlier, base, total, squares = values[: values.size - ago], origin[ago:], out[0, ago:], out[1, ago:]
        for t in range(base.size):
            deviation = earlier[t] - base[t]
            deviation = 0.0 if math.isnan(deviation) else deviation
            total[t] += deviation
            squares[t] += deviation * deviation
    return out


@kernel
def window_std(values: Bars, window: int) -> Bars:
    """Return the sample standard deviation of the known values; NaN where fewer than two are."""
    count, moments, out = window_count(values, window), window_moments(values, window), np.full(values.size, math.nan)
    for t in range(values.size):
        if count[t] > 1:
            total, squares = moments[0, t], moments[1, t]
            out[t] = math.sqrt(max(0.0, squares - total * total / count[t]) / (count[t] - 1))
    return out


@kernel
def window_max(values: Bars, window: int) -> Bars:
    """Return the largest known value; NaN where none is known.

    Maxima of 1, 2, 4, ... values are doubled up, and two of the longest that fit overlap to the window.
    """
    out = np.empty(values.size)
    for t in range(values.size):
        out[t] = -math.inf if math.isnan(values[t]) else values[t]
    size = 1
    while size < min(window, values.size):
        step = min(size, window - size)
        earlier, into = out[: max(0, values.size - step)].copy(), out[step:]
        for t in range(into.size):
            into[t] = max(into[t], earlier[t])
        size += step
    for t in range(values.size):
        out[t] = math.nan if out[t] == -math.inf else out[t]
    return out
