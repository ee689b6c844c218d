"""How rough the path of a price is: the Hurst exponent and the fractal dimension of its last bars."""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.rolling import rolling_mean, rolling_variance
from feature_repo.compute.spectral import log_return

SMALLEST_BLOCK = 8


@kernel
def rescaled_range(values: Bars, sessions: int) -> Bars:
    """Return R/S of the last n values over what independent normal values would give; NaN where none differ.

    R is the range of the running sum of deviations from the mean, S the population standard deviation (H. E. Hurst,
    1951); the expectation is that of Anis and Lloyd, *The Expected Value of the Adjusted Rescaled Hurst Range of
    Independent Normal Summands*, 1976.
    """
    expected = 0.0
    for i in range(1, sessions):
        expected += math.sqrt((sessions - i) / i)
    expected *= math.exp(math.lgamma((sessions - 1) / 2) - math.lgamma(sessions / 2)) / math.sqrt(math.pi)
    mean, variance = rolling_mean(values, sessions), rolling_variance(values, sessions)
    out = np.full(values.size, np.nan)
    for t in range(sessions - 1, values.size):
        if not variance[t] > 0:
            continue
        total, lowest, highest = 0.0, 0.0, 0.0
        for i in range(t - sessions + 1, t):
            total += values[i] - mean[t]
            lowest, highest = min(lowest, total), max(highest, total)
        deviation = math.sqrt(variance[t] * (sessions - 1) / sessions)
        out[t] = (highest - lowest) / deviation / expected
    return out


@kernel
def slope_weights(x: Bars) -> Bars:
    """Return the weights w for which ``sum(w y)`` is the slope of y on x by least squares."""
    apart = x - np.mean(x)
    weights: Bars = apart / np.sum(apart * apart)
    return weights


@kernel
def hurst_exponent(close: Bars, sessions: int) -> Bars:
    """Return the Hurst exponent of the last n log returns from their rescaled ranges.

    The n returns (n a power of two) are cut into blocks of 8, then of 16, ... n / 2; the exponent is 0.5 plus the slope
    of ln(mean R/S of the blocks over its expectation) on ln(size of the block). Without the expectation short blocks
    would show persistence where there is none (Rafal Weron, *Estimating Long-Range Dependence: Finite Sample
    Properties and Confidence Intervals*, 2002). NaN where the price stood still throughout a block.
    """
    returns = log_return(close)
    scales = int(math.log2(sessions / SMALLEST_BLOCK))
    sizes = SMALLEST_BLOCK * 2.0 ** np.arange(scales)
    weights = slope_weights(np.log(sizes))
    out = np.full(close.size, 0.5)
    out[:sessions] = np.nan
    for scale in range(scales):
        size = int(sizes[scale])
        ratio = rescaled_range(returns, size)
        for t in range(sessions, close.size):
            blocks = 0.0
            for end in range(t, t - sessions, -size):
                blocks += ratio[end]
            out[t] += weights[scale] * math.log(blocks * size / sessions)
    return out


@kernel
def higuchi_dimension(close: Bars, sessions: int, lags: int) -> Bars:
    """Return the fractal dimension of the last n log prices: near 1 for a trend, 1.5 for a random walk, 2 for noise.

    Higuchi's mean length of the curve at lag k is, when k divides n, ``(n - 1) / k^2`` times the mean absolute change
    over k bars; the dimension is minus the slope of its logarithm on ln(k), k = 1 ... `lags` (T. Higuchi, *Approach to
    an Irregular Time Series on the Basis of the Fractal Theory*, 1988). NaN where no price changed over some lag.
    """
    logs = np.log(close)
    weights = slope_weights(np.log(np.arange(1.0, lags + 1)))
    out = np.zeros(close.size)
    for lag in range(1, lags + 1):
        changes = np.full(close.size, np.nan)
        for t in range(lag, close.size):
            changes[t] = abs(logs[t] - logs[t - lag])
        length = rolling_mean(changes, sessions - lag) * (sessions - 1) / lag**2
        out -= weights[lag - 1] * np.log(np.where(length > 0, length, np.nan))
    return out
