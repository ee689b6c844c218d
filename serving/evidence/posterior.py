"""Posterior of each strategy's mean paper return, and a sequential test of a quantity that is clipped."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """Prior of a strategy's mean excess return: near zero.

    Parameters
    ----------
    sessions
        How many sessions of zero excess the belief about the mean is worth.
    shape
        Of the inverse gamma prior on the variance, above 1.
    deviation
        Daily deviation of the excess, as a fraction; its square is the prior mean of the variance.
    """

    sessions: float = 20.0
    shape: float = 3.0
    deviation: float = 0.005


class Posterior(NamedTuple):
    """Normal-inverse-gamma posteriors of mean and variance, one entry per strategy."""

    mean: FloatArray
    sessions: float
    shape: float
    scale: FloatArray


def posterior(excess: FloatArray, prior: Prior) -> Posterior:
    """Learn about mean and variance of each strategy's excess return from its sessions in one regime.

    Conjugate normal-inverse-gamma update with prior mean 0 (Gelman et al., Bayesian Data Analysis, 3rd ed., section
    3.3): with ``n`` sessions, ``k = k0 + n``, ``m = n x / k``, ``a = a0 + n / 2`` and
    ``b = b0 + S / 2 + k0 n x^2 / (2 k)``, where ``x`` is the sample mean and ``S`` the sum of squared deviations.

    Parameters
    ----------
    excess
        ``[session, strategy]``: net return minus the pool's mean of the same session; may have no session.
    """
    count = len(excess)
    mean = excess.mean(axis=0) if count else np.zeros(excess.shape[1])
    squares = ((excess - mean) ** 2).sum(axis=0)
    total = prior.sessions + count
    prior_scale = (prior.shape - 1) * prior.deviation**2
    scale = prior_scale + squares / 2 + prior.sessions * count * mean**2 / (2 * total)
    return Posterior(count * mean / total, total, prior.shape + count / 2, scale)


def probability_of_being_best(known: Posterior, draws: int, rng: np.random.Generator) -> FloatArray:
    """Share of posterior draws in which each strategy has the largest mean.

    The marginal posterior of a mean is Student's t with ``2 a`` degrees of freedom, location ``m`` and scale
    ``sqrt(b / (a k))``; means are drawn independently across strategies.
    """
    size = (draws, len(known.mean))
    spread = np.sqrt(known.scale / (known.shape * known.sessions))
    means = known.mean + spread * rng.standard_t(2 * known.shape, size=size)
    return np.bincount(means.argmax(axis=1), minlength=size[1]) / draws


def probability_of_gain(known: Posterior, sessions: int) -> FloatArray:
    """Probability, by the posterior predictive, that the mean of the next sessions is above zero.

    That mean is Student's t with ``2 a`` degrees of freedom, location ``m`` and scale ``sqrt(b / a (1 / k + 1 / n))``
    for ``n`` sessions (Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.3). Of gains that are said to come
    with a probability of 60 %, 60 % have to come: it can be checked by counting.

    Returns
    -------
    FloatArray
        One entry per strategy; 0.5 before any session was seen.

    Examples
    --------
    >>> gains = np.array([[0.002], [0.001], [-0.001], [0.003]])
    >>> probability_of_gain(posterior(gains, Prior(sessions=1.0, deviation=0.002)), sessions=20).round(2)
    array([0.88])
    """
    from scipy.stats import t

    spread = np.sqrt(known.scale / known.shape * (1 / known.sessions + 1 / sessions))
    likely: FloatArray = t.cdf(known.mean / spread, 2 * known.shape)
    return likely


class Evidence:
    """Evidence that a clipped quantity has a positive mean: a bet against "it has none", settled session by session.

    The capital of a bettor who stakes a share ``f`` on each session's gain is multiplied by ``1 + f g / B``, where
    ``g`` is the gain clipped to ``-B..B``. If the expected clipped gain is never above zero, whatever happened before,
    that capital is a non-negative supermartingale, and so is the mean over several ``f``: it ever reaches
    ``1 / alpha`` with probability at most alpha (Ville 1939). Waudby-Smith and Ramdas (2024), Estimating means of
    bounded random variables by betting, JRSS B 86(1), sections 3 and B; here the grid-Kelly mixture.

    Parameters
    ----------
    largest_gain
        ``B``, in the unit of the gain. What is tested is the mean of the clipped gain, which is positive for many small
        gains and a rare loss beyond it. `serving.evidence.GainEvidence` counts losses in full.
    """

    STAKES = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9])

    def __init__(self, largest_gain: float) -> None:
        self._largest = largest_gain
        self._log_capital = np.zeros(len(self.STAKES))

    @property
    def e_value(self) -> float:
        """Mean capital over the stakes; 1 before the first session."""
        return float(np.exp(self._log_capital).mean())

    def settle(self, gain: float) -> None:
        """Update with the gain of one session."""
        clipped = min(max(gain, -self._largest), self._largest) / self._largest
        self._log_capital += np.log1p(self.STAKES * clipped)
