"""Conditional volatility by a heterogeneous autoregression (HAR) of absolute returns, refitted each year.

The mean size of the next returns is linear in the mean sizes of the last day, week, month and quarter (F. Corsi, *A
Simple Approximate Long-Memory Model of Realized Volatility*, Journal of Financial Econometrics 7, 2009, without the
quarter), here of daily absolute returns, which every close gives (L. Ederington and W. Guan, *Forecasting Volatility*,
Journal of Futures Markets 25, 2005).
"""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.returns import simple_return
from feature_repo.compute.rolling import rolling_mean
from feature_repo.compute.volatility import SESSIONS_PER_YEAR

WEEK, MONTH, QUARTER = 5, 22, 66
TERMS = 4
FEWEST = 250
"""Rows below which nothing is fitted: the mean size of the last month stands for the next one."""
SHRINKAGE = 0.1
"""Ridge penalty as a part of each regressor's own sum of squares."""
LEAST = 0.2
"""Least forecast, as a part of the mean size that was fitted on."""


@kernel
def har_line(day: Bars, week: Bars, month: Bars, quarter: Bars, first: int, until: int, horizon: int) -> Bars:
    """Return the fitted line: its slopes, then the mean of each term, then the mean of what is forecast.

    Rows `first` to `until` are fitted on, by least squares weighted with the inverse square of the month's mean size,
    because errors grow with the level; a penalty keeps the slopes of terms that move together small.
    """
    rows = until - first
    terms = np.empty((rows, TERMS))
    terms[:, 0], terms[:, 1] = day[first:until], week[first:until]
    terms[:, 2], terms[:, 3] = month[first:until], quarter[first:until]
    target = np.zeros(rows)
    for step in range(1, horizon + 1):
        target += day[first + step : until + step] / horizon
    middle, level = terms.sum(axis=0) / rows, target.mean()
    slopes = np.zeros(TERMS)
    if middle[2] > 0:
        root = 1 / (terms[:, 2] + middle[2] / 2)
        weighted, aim = (terms - middle) * root.reshape(-1, 1), (target - level) * root
        gram = weighted.T @ weighted
        for i in range(TERMS):
            gram[i, i] *= 1 + SHRINKAGE
        if np.diag(gram).min() > 0:
            slopes = np.linalg.solve(gram, weighted.T @ aim)
    return np.concatenate((slopes, middle, np.full(1, level)))


@kernel
def har_volatility(close: Bars, year: Bars, is_asked: Bars, sessions: int, horizon: int) -> Bars:
    """Return the volatility, per year, that HAR expects over the next `horizon` bars, from bar 67 on.

    Its coefficients in a calendar year are fitted on the `sessions` last bars whose outcome was known before the
    year's first bar. The mean size of a normal return is sqrt(2 / pi) of its deviation. A year of which no
    bar is asked for is not fitted.
    """
    day = np.abs(simple_return(close, 1))
    week, month, quarter = np.full(close.size, np.nan), np.full(close.size, np.nan), np.full(close.size, np.nan)
    week[1:], month[1:], quarter[1:] = (
        rolling_mean(day[1:], WEEK),
        rolling_mean(day[1:], MONTH),
        rolling_mean(day[1:], QUARTER),
    )
    out = np.full(close.size, np.nan)
    begin = QUARTER
    while begin < close.size:
        end = begin + 1
        while end < close.size and year[end] == year[end - 1]:
            end += 1
        until = begin - horizon
        first = max(QUARTER, until - sessions)
        if until - first < FEWEST:
            out[begin:end] = month[begin:end]
        elif is_asked[begin:end].any():
            line = har_line(day, week, month, quarter, first, until, horizon)
            level = line[2 * TERMS]
            for t in range(begin, end):
                forecast = level + line[0] * (day[t] - line[4]) + line[1] * (week[t] - line[5])
                forecast += line[2] * (month[t] - line[6]) + line[3] * (quarter[t] - line[7])
                out[t] = max(forecast, LEAST * level)
        begin = end
    return out * math.sqrt(math.pi / 2 * SESSIONS_PER_YEAR)
