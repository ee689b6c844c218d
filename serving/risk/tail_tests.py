"""Tests of value at risk and expected shortfall against what came: coverage, clustering, and the size of the losses."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.risk.tail import TailForecasts

Flags = npt.NDArray[np.bool_]
DRAWS = 2_000
"""Simulated histories that an expected shortfall is compared with."""


class CoverageTest(NamedTuple):
    """Outcome of a likelihood ratio test.

    Parameters
    ----------
    statistic
        Likelihood ratio.
    p_value
        Chance of one at least as large where the figures are right.
    exceedances, sessions
        Losses beyond the value at risk, among so many sessions.
    """

    statistic: float
    p_value: float
    exceedances: int
    sessions: int


def exceeded(found: TailForecasts) -> Flags:
    """Return whether the loss of each session reached its value at risk ``[session]``."""
    return np.asarray(found.returns <= -found.value_at_risk)


def kupiec(hits: Flags, level: float) -> CoverageTest:
    """Test whether losses exceed the value at risk as often as they should (Kupiec, 1995).

    Returns
    -------
    CoverageTest
        Chi-squared with one degree of freedom.

    Examples
    --------
    Kupiec's own case: 7 exceedances of 99 % in 255 days are rejected at 5 %, 6 are not.

    >>> [round(kupiec(np.arange(255) < n, 0.99).p_value, 3) for n in (6, 7)]
    [0.065, 0.021]
    """
    sessions, found = hits.size, int(hits.sum())
    expected = 1 - level
    rate = found / sessions
    statistic = -2 * (_log_likelihood(found, sessions, expected) - _log_likelihood(found, sessions, rate))
    return CoverageTest(statistic, _chi_squared(statistic, 1), found, sessions)


def christoffersen(hits: Flags, level: float) -> CoverageTest:
    """Test coverage and independence together: exceedances must not follow each other (Christoffersen, 1998).

    Returns
    -------
    CoverageTest
        Chi-squared with two degrees of freedom. The first session has none before it and counts for coverage alone.
    """
    before, after = hits[:-1], hits[1:]
    from_calm, from_hit = int((~before).sum()), int(before.sum())
    calm_hits, hit_hits = int((~before & after).sum()), int((before & after).sum())
    together = (calm_hits + hit_hits) / max(from_calm + from_hit, 1)
    apart = _log_likelihood(calm_hits, from_calm, calm_hits / max(from_calm, 1))
    apart += _log_likelihood(hit_hits, from_hit, hit_hits / max(from_hit, 1))
    independence = -2 * (_log_likelihood(calm_hits + hit_hits, from_calm + from_hit, together) - apart)
    statistic = kupiec(hits, level).statistic + max(independence, 0.0)
    return CoverageTest(statistic, _chi_squared(statistic, 2), int(hits.sum()), hits.size)


def acerbi_szekely(found: TailForecasts, level: float, *, seed: int = 0, draws: int = DRAWS) -> CoverageTest:
    """Test the expected shortfall by the second statistic of Acerbi and Szekely (2014).

    ``Z = sum(return x is exceeded / expected shortfall) / (sessions x (1 - level)) + 1``: 0 on average where both
    figures are right, below where losses are more or larger than they say.

    Parameters
    ----------
    seed, draws
        Of the simulated histories: each session draws from the surprises that its own figure rests on.

    Returns
    -------
    CoverageTest
        The share of simulated histories with a statistic at most as large; one-sided.
    """
    generator = np.random.default_rng(seed)
    sessions, width = found.surprises.shape
    expected = sessions * (1 - level)

    def statistic(returns: npt.NDArray[np.float64]) -> float:
        beyond = np.where(returns <= -found.value_at_risk, returns / found.expected_shortfall, 0.0)
        return float(beyond.sum() / expected + 1)

    seen, places = statistic(found.returns), np.arange(sessions)
    drawn = (found.surprises[places, generator.integers(width, size=sessions)] for _ in range(draws))
    simulated = [statistic(surprises * found.volatility) for surprises in drawn]
    hits = exceeded(found)
    p_value = (1 + int(np.sum(np.asarray(simulated) <= seen))) / (draws + 1)
    return CoverageTest(seen, p_value, int(hits.sum()), sessions)


def _log_likelihood(hits: int, sessions: int, rate: float) -> float:
    """Log likelihood of so many exceedances; 0 x log 0 is 0."""
    calm = sessions - hits
    return (hits * float(np.log(rate)) if hits else 0.0) + (calm * float(np.log1p(-rate)) if calm else 0.0)


def _chi_squared(statistic: float, freedom: int) -> float:
    from scipy.stats import chi2

    return float(chi2.sf(max(statistic, 0.0), freedom))
