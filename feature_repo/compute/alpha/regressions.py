"""The straight line through the last n prices, and correlations of prices with volumes."""

import math

import numpy as np

from feature_repo.compute.alpha.windows import latest_known, window_count, window_moments, window_std
from feature_repo.compute.kernel import Bars, kernel

FLAT = 2e-5
"""Up to this standard deviation Qlib calls a window constant, and its correlation or R-squared unknown."""


@kernel
def window_places(values: Bars, window: int) -> Bars:
    """Return the sums of the places of the known values of each window and of their squares.

    A place counts bars from the newest, which is 0, to the one before, -1, and so on. The sums are whole numbers, so
    moving them on bar by bar is exact.

    Returns
    -------
    Bars
        ``[moment, bar]``
    """
    out = np.empty((2, values.size))
    count, total, squares = 0.0, 0.0, 0.0
    for t in range(values.size):
        squares += count - 2 * total
        total -= count
        count += not math.isnan(values[t])
        if t >= window and not math.isnan(values[t - window]):
            count -= 1
            total += window
            squares -= window * window
        out[0, t], out[1, t] = total, squares
    return out


@kernel
def window_climb(values: Bars, window: int) -> Bars:
    """Return the sum of places times deviations from the latest known value."""
    origin, out = latest_known(values), np.zeros(values.size)
    for ago in range(min(window, values.size)):
        earlier, base, into = values[: values.size - ago], origin[ago:], out[ago:]
        for t in range(into.size):
            deviation = earlier[t] - base[t]
            into[t] -= 0.0 if math.isnan(deviation) else ago * deviation
    return out


@kernel
def line(values: Bars, window: int) -> Bars:
    """Return the line of least squares through the known values of each window; NaN where fewer than two are known.

    Returns
    -------
    Bars
        ``[number, bar]``: the slope per bar, the line's value at the newest bar less the latest known value, and the
        share of the variance that the line explains.
    """
    count, places = window_count(values, window), window_places(values, window)
    climb, moments = window_climb(values, window), window_moments(values, window)
    out = np.full((3, values.size), math.nan)
    for t in range(values.size):
        n, place, rise = count[t], places[0, t], moments[0, t]
        if n > 1:
            both = n * climb[t] - place * rise
            slope = both / (n * places[1, t] - place * place)
            out[0, t] = slope
            out[1, t] = (rise - slope * place) / n
            out[2, t] = both * slope / (n * moments[1, t] - rise * rise)
    return out


@kernel
def relative_slope(price: Bars, window: int) -> Bars:
    """Return the slope of the line against the newest price."""
    slope: Bars = line(price, window)[0]
    return slope / price


@kernel
def relative_residual(price: Bars, window: int) -> Bars:
    """Return how far the newest price lies above the line, against itself."""
    above: Bars = line(price, window)[1]
    return -above / price


@kernel
def r_squared(price: Bars, window: int) -> Bars:
    """Return the share of the variance that the line explains; NaN where the window is flat."""
    out: Bars = line(price, window)[2]
    deviation = window_std(price, window)
    for t in range(price.size):
        out[t] = min(out[t], 1.0) if deviation[t] > FLAT else math.nan
    return out


@kernel
def window_products(x: Bars, y: Bars, window: int) -> Bars:
    """Return the sums of the products of both deviations from the latest known values."""
    x_origin, y_origin, out = latest_known(x), latest_known(y), np.zeros(x.size)
    for ago in range(min(window, x.size)):
        x_earlier, y_earlier = x[: x.size - ago], y[: x.size - ago]
        x_base, y_base, into = x_origin[ago:], y_origin[ago:], out[ago:]
        for t in range(into.size):
            product = (x_earlier[t] - x_base[t]) * (y_earlier[t] - y_base[t])
            into[t] += 0.0 if math.isnan(product) else product
    return out


@kernel
def correlation(x: Bars, y: Bars, window: int) -> Bars:
    """Return the correlation of the pairs that are known; NaN where one side is flat or fewer than two pairs are.

    Whether a side is flat is asked of all its known values, in a pair or not, as Qlib does.
    """
    x_deviation, y_deviation = window_std(x, window), window_std(y, window)
    x_paired, y_paired = x + 0 * y, y + 0 * x
    count, products = window_count(x_paired, window), window_products(x_paired, y_paired, window)
    x_moments, y_moments = window_moments(x_paired, window), window_moments(y_paired, window)
    out = np.full(x.size, math.nan)
    for t in range(x.size):
        n, x_total, y_total = count[t], x_moments[0, t], y_moments[0, t]
        apart = (n * x_moments[1, t] - x_total * x_total) * (n * y_moments[1, t] - y_total * y_total)
        if x_deviation[t] > FLAT and y_deviation[t] > FLAT and apart > 0:
            out[t] = max(-1.0, min(1.0, (n * products[t] - x_total * y_total) / math.sqrt(apart)))
    return out


@kernel
def price_volume_correlation(price: Bars, volume: Bars, window: int) -> Bars:
    """Return the correlation of the price with the logarithm of the volume."""
    return correlation(price, np.log(volume + 1), window)


@kernel
def change_correlation(price: Bars, volume: Bars, window: int) -> Bars:
    """Return the correlation of the price's change with the logarithm of the volume's; infinite changes are unknown."""
    price_change, volume_change = np.full(price.size, math.nan), np.full(price.size, math.nan)
    for t in range(1, price.size):
        price_change[t] = price[t] / price[t - 1]
        volume_change[t] = math.log(volume[t] / volume[t - 1] + 1)
        if not math.isfinite(volume_change[t]):
            volume_change[t] = math.nan
    return correlation(price_change, volume_change, window)
