"""Sharpe ratio of gains per session, and the probability that it is no product of how many were tried."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Gains = npt.NDArray[np.float64]

FEWEST_SESSIONS = 3
"""Sessions below which a spread, and so a ratio, says nothing."""
FEWEST_LAGS = 10
"""Lags of the Bartlett kernel that are counted at least."""
ROUNDING = 1e-12
"""Spread, as a part of the largest gain, below which gains are equal numbers but for rounding."""
EULER = 0.5772156649015329


class SharpeStatistics(NamedTuple):
    """Gains per session, as the deflated Sharpe ratio needs them.

    Parameters
    ----------
    ratio
        Mean over standard deviation, per session: neither annualised nor corrected.
    skewness, kurtosis
        Standardised third and fourth moments; 0 and 3 for a normal distribution.
    sessions
        How many gains there are.
    effective_sessions
        How many independent ones say as much about the mean.
    """

    ratio: float
    skewness: float
    kurtosis: float
    sessions: int
    effective_sessions: float


def lags_of(horizon_sessions: int) -> int:
    """Return how many lags of the autocovariance count for gains over a horizon: twice the horizon, at least 10.

    Examples
    --------
    >>> lags_of(1), lags_of(5), lags_of(20)
    (10, 10, 40)
    """
    return max(FEWEST_LAGS, 2 * horizon_sessions)


def sharpe_statistics(gains: Gains, horizon_sessions: int = 1) -> SharpeStatistics | None:
    """Return the statistics of gains in order of time; None for fewer than three, or without a spread.

    Parameters
    ----------
    gains
        ``[session]``, one per session, without nulls.
    horizon_sessions
        Sessions that each gain extends over: gains over five sessions, one per session, repeat one another.

    Examples
    --------
    >>> found = sharpe_statistics(np.array([0.02, -0.01, 0.02, 0.01]))
    >>> round(found.ratio, 4), found.sessions
    (0.7071, 4)
    """
    if len(gains) < FEWEST_SESSIONS:
        return None
    centred = gains - gains.mean()
    variance = float(centred @ centred) / len(gains)
    if variance <= (ROUNDING * np.abs(gains).max()) ** 2:
        return None
    standard = centred / math.sqrt(variance)
    return SharpeStatistics(
        ratio=float(gains.mean() / gains.std(ddof=1)),
        skewness=float((standard**3).mean()),
        kurtosis=float((standard**4).mean()),
        sessions=len(gains),
        effective_sessions=effective_sessions(gains, lags_of(horizon_sessions)),
    )


def effective_sessions(gains: Gains, lags: int) -> float:
    """Return how many independent gains say as much about their mean as these, which may repeat one another.

    ``T x variance / long-run variance``, the latter with a Bartlett kernel over `lags` lags (Newey and West 1987;
    Andrews 1991). It is never above the number of gains: what a sample's negative autocovariances seem to add is not
    counted as evidence.

    Parameters
    ----------
    gains
        ``[session]``, in order of time, with a spread.

    Examples
    --------
    >>> independent = np.random.default_rng(0).normal(size=4_004)
    >>> overlapping = np.convolve(independent, np.ones(5), "valid")
    >>> round(effective_sessions(overlapping, lags=10), -2)  # of 4,000 that are worth 800
    900.0
    """
    count, centred = len(gains), gains - gains.mean()
    variance = float(centred @ centred)
    within = min(lags, count - 1)
    weights = 1 - np.arange(1, within + 1) / (lags + 1)
    repeated = sum(weight * (centred[lag:] @ centred[:-lag]) for lag, weight in enumerate(weights, 1))
    long_run = variance + 2 * float(repeated)
    return float(count) if long_run <= variance else count * variance / long_run


def expected_maximum(trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of so many trials has on average when none has any skill.

    Bailey and López de Prado (2014), *The Deflated Sharpe Ratio*, Journal of Portfolio Management 40(5), equation 1.

    Parameters
    ----------
    trials
        Number of trials, at least 1, failed ones among them.
    variance
        Of the Sharpe ratios over the trials, in the unit of the result squared.

    Examples
    --------
    >>> round(expected_maximum(100, 0.5 / 250), 4), expected_maximum(1, 0.5 / 250)
    (0.1132, 0.0)
    """
    if trials <= 1:
        return 0.0
    normal = NormalDist()
    first, second = normal.inv_cdf(1 - 1 / trials), normal.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - EULER) * first + EULER * second)


def ratio_variance(statistics: SharpeStatistics) -> float:
    """Return the sampling variance of a Sharpe ratio per session, for gains that need not be normal.

    ``(1 - skewness s + (kurtosis - 1) s^2 / 4) / (T_eff - 1)``: Mertens (2002), used by Bailey and López de Prado.

    Examples
    --------
    >>> ratio_variance(SharpeStatistics(0.0, 0.0, 3.0, 101, 101.0))
    0.01
    """
    ratio, skewness, kurtosis, _, effective = statistics
    spread = 1 - skewness * ratio + (kurtosis - 1) * ratio**2 / 4
    return max(spread, 0.0) / max(effective - 1, ROUNDING)


def deflated_sharpe(statistics: SharpeStatistics, trials: int, variance: float) -> float:
    """Return the probability that the true Sharpe ratio exceeds what the best of so many trials has by chance.

    Bailey and López de Prado (2014), equation 2, with the effective number of sessions in place of the number: gains
    that repeat one another are less evidence. It holds for one look at a time that was fixed beforehand.

    Parameters
    ----------
    statistics
        Of the gains of the trial that was chosen.
    trials, variance
        As for `expected_maximum`: of the family that it was chosen from.

    Returns
    -------
    float
        Within 0..1; above .95 the ratio is no product of the search at 5 %.

    Examples
    --------
    The authors' example: an annual Sharpe ratio of 2.5 over five years, the best of 100 or of 46 trials.

    >>> chosen = SharpeStatistics(2.5 / 250**0.5, -3.0, 10.0, 1250, 1250.0)
    >>> [round(deflated_sharpe(chosen, trials, 0.5 / 250), 4) for trials in (100, 46)]
    [0.9004, 0.9505]
    """
    excess = statistics.ratio - expected_maximum(trials, variance)
    error = math.sqrt(ratio_variance(statistics))
    return NormalDist().cdf(excess / error) if error > 0 else float(excess > 0)
