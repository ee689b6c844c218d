"""Means and moments of the last n values.

A window is the end of one block of n values and the beginning of the next; what is known of both parts is merged. So
each bar costs the same whatever n is, no digit is lost to a difference of large sums, and a value that has left the
window leaves no trace. NaN in the window gives NaN.
"""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel


@kernel
def rolling_mean(values: Bars, sessions: int) -> Bars:
    """Return the mean of the last n values, from the n-th on."""
    out = np.full(values.size, np.nan)
    end_of_block = np.empty(sessions)  # sums of the previous block from each of its values on
    for begin in range(0, values.size, sessions):
        beginning = 0.0
        for t in range(begin, min(begin + sessions, values.size)):
            beginning += values[t]
            taken = t - begin + 1
            if taken == sessions:
                out[t] = beginning / sessions
            elif begin > 0:
                out[t] = (end_of_block[taken] + beginning) / sessions
        if begin + sessions <= values.size:
            end = 0.0
            for i in range(sessions - 1, -1, -1):
                end += values[begin + i]
                end_of_block[i] = end
    return out


@kernel
def rolling_variance(values: Bars, sessions: int) -> Bars:
    """Return the sample variance of the last n values, from the n-th on; see `rolling_covariance`."""
    return rolling_covariance(values, values, sessions)


@kernel
def rolling_std(values: Bars, sessions: int) -> Bars:
    """Return the sample standard deviation of the last n values, from the n-th on."""
    return np.sqrt(rolling_covariance(values, values, sessions))


@kernel
def rolling_covariance(x: Bars, y: Bars, sessions: int) -> Bars:
    """Return the sample covariance of the last n pairs, from the n-th on.

    Each part keeps its means and its sum of products of deviations, updated value by value (Welford 1962) and merged
    as of two samples: Chan, Golub, LeVeque, *Updating Formulae and a Pairwise Algorithm*, 1979.
    """
    out = np.full(x.size, np.nan)
    end_of_block = np.empty((sessions, 3))  # mean of x, mean of y, sum of products: previous block, from each value on
    for begin in range(0, x.size, sessions):
        mean_x, mean_y, products = 0.0, 0.0, 0.0
        for t in range(begin, min(begin + sessions, x.size)):
            taken = t - begin + 1
            from_x, from_y = x[t] - mean_x, y[t] - mean_y
            mean_x += from_x / taken
            mean_y += from_y / taken
            products += from_x * (y[t] - mean_y)
            left = sessions - taken
            if left == 0:
                out[t] = products / (sessions - 1)
            elif begin > 0:
                apart_x, apart_y = mean_x - end_of_block[taken, 0], mean_y - end_of_block[taken, 1]
                both = end_of_block[taken, 2] + products + apart_x * apart_y * taken * left / sessions
                out[t] = both / (sessions - 1)
        if begin + sessions <= x.size:
            mean_x, mean_y, products = 0.0, 0.0, 0.0
            for i in range(sessions - 1, -1, -1):
                from_x, from_y = x[begin + i] - mean_x, y[begin + i] - mean_y
                mean_x += from_x / (sessions - i)
                mean_y += from_y / (sessions - i)
                products += from_x * (y[begin + i] - mean_y)
                end_of_block[i, 0], end_of_block[i, 1], end_of_block[i, 2] = mean_x, mean_y, products
    return out


@kernel
def seeded_mean(values: Bars, weight: float, sessions: int, seeded_at: int) -> Bars:
    """Return the exponential mean of the known values, from the one that carries its seed on.

    Parameters
    ----------
    values
        NaN is passed over and stays NaN in the result.
    weight
        Of the newest value, e.g. ``2 / (n + 1)``, or Wilder's ``1 / n``.
    sessions
        The seed is the plain mean of this many known values.
    seeded_at
        Number (counted from 1) of the known value that carries the seed.
    """
    out = np.full(values.size, np.nan)
    known, level = 0, 0.0
    for t in range(values.size):
        if math.isnan(values[t]):
            continue
        known += 1
        if known > seeded_at:
            level += weight * (values[t] - level)
        elif known > seeded_at - sessions:
            level += values[t] / sessions
        if known >= seeded_at:
            out[t] = level
    return out
