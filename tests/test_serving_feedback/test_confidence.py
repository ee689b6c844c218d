"""Confidence in strategy weights is a probability: of gains that are said to come with 60 %, 60 % come."""

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import invgamma, norm

from serving.evidence import Prior, posterior, probability_of_gain
from serving.strategies.selection import CONFIDENCE_SESSIONS, confidence_in

PRIOR = Prior()


def worlds(count: int, sessions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Gains of so many worlds drawn from the prior ``[session, world]``, and the mean of the sessions that follow."""
    random = np.random.default_rng(seed)
    variance = invgamma.rvs(PRIOR.shape, scale=(PRIOR.shape - 1) * PRIOR.deviation**2, size=count, random_state=random)
    mean = random.normal(0.0, np.sqrt(variance / PRIOR.sessions))
    drawn = random.normal(mean, np.sqrt(variance), (sessions + CONFIDENCE_SESSIONS, count))
    return drawn[:sessions], drawn[sessions:].mean(axis=0)


@pytest.mark.parametrize("sessions", [0, 5, 60, 250])
def test_what_is_said_to_come_with_a_probability_comes_as_often(sessions: int) -> None:
    gains, then = worlds(20_000, sessions, seed=1)
    said = probability_of_gain(posterior(gains, PRIOR), CONFIDENCE_SESSIONS)
    if not sessions:
        assert said == pytest.approx(0.5)
    for low in np.arange(0.0, 1.0, 0.1):
        inside = (said >= low) & (said < low + 0.1)
        if inside.sum() > 200:
            error = 4 * np.sqrt(0.25 / inside.sum())
            assert (then[inside] > 0).mean() == pytest.approx(said[inside].mean(), abs=error)


def test_against_the_integral_over_the_posterior() -> None:
    """Numerically, over the variance: the formula is not asked."""
    gains = np.random.default_rng(2).normal(0.001, 0.004, (30, 1))
    known = posterior(gains, PRIOR)
    mean, scale = float(known.mean[0]), float(known.scale[0])

    def gained(variance: float) -> float:
        spread = np.sqrt(variance * (1 / known.sessions + 1 / CONFIDENCE_SESSIONS))
        return float(norm.cdf(mean / spread) * invgamma.pdf(variance, known.shape, scale=scale))

    expected, _ = integrate.quad(gained, 1e-7, 2e-4, limit=500)
    assert float(probability_of_gain(known, CONFIDENCE_SESSIONS)[0]) == pytest.approx(expected, abs=1e-4)


def test_weights_that_gained_are_trusted_and_those_that_lost_are_not() -> None:
    noise = np.random.default_rng(3).normal(0, 0.003, 120)
    assert confidence_in(noise - noise.mean() + 0.001, PRIOR) > 0.8
    assert confidence_in(noise - noise.mean(), PRIOR) == pytest.approx(0.5)
    assert confidence_in(noise - noise.mean() - 0.001, PRIOR) < 0.2
