"""The posterior against its closed form and against integration; the bet against what a fair bet must be."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from serving.evidence import Evidence, Prior, posterior, probability_of_being_best
from serving.evidence.posterior import Posterior

PRIOR = Prior(sessions=2.0, shape=3.0, deviation=0.01)


def test_the_posterior_is_the_closed_form_worked_by_hand() -> None:
    known = posterior(np.array([[0.01], [0.03]]), PRIOR)
    # k = 2 + 2; m = 2 x 0.02 / 4; a = 3 + 1; b = 2 x 0.01^2 + 2 x 0.01^2 / 2 + 2 x 2 x 0.02^2 / (2 x 4)
    assert known.sessions == 4
    assert known.mean[0] == pytest.approx(0.01)
    assert known.shape == 4
    assert known.scale[0] == pytest.approx(0.0002 + 0.0001 + 0.0002)


def test_the_posterior_mean_is_what_integrating_prior_times_likelihood_gives() -> None:
    seen = np.array([0.004, -0.002, 0.009, 0.001])
    prior_scale = (PRIOR.shape - 1) * PRIOR.deviation**2

    mean = np.linspace(-0.06, 0.06, 4001)[:, None]
    log_variance = np.linspace(np.log(1e-6), np.log(1e-2), 801)[None, :]
    variance = np.exp(log_variance)
    density = stats.invgamma.pdf(variance, PRIOR.shape, scale=prior_scale) * variance
    density = density * stats.norm.pdf(mean, 0, np.sqrt(variance / PRIOR.sessions))
    for value in seen:
        density = density * stats.norm.pdf(value, mean, np.sqrt(variance))
    total, first, second = (density.sum(), (mean * density).sum(), (mean**2 * density).sum())
    known = posterior(seen[:, None], PRIOR)
    marginal = stats.t(2 * known.shape, known.mean[0], np.sqrt(known.scale[0] / (known.shape * known.sessions)))
    assert known.mean[0] == pytest.approx(first / total, rel=1e-4)
    assert marginal.var() == pytest.approx(second / total - (first / total) ** 2, rel=1e-3)


def test_nothing_seen_leaves_the_prior() -> None:
    known = posterior(np.empty((0, 3)), PRIOR)
    assert known.mean.tolist() == [0, 0, 0]
    assert (known.sessions, known.shape) == (2, 3)
    assert known.scale == pytest.approx(2 * 0.01**2)


@given(st.lists(st.floats(-0.05, 0.05), min_size=2, max_size=20), st.integers(1, 19))
def test_learning_in_two_parts_is_learning_at_once(seen: list[float], cut: int) -> None:
    """Conjugacy: the posterior of the first part is a prior for the second."""
    values = np.array(seen)[:, None]
    first, rest = posterior(values[:cut], PRIOR), values[cut:]
    count = len(rest)
    sessions, shape = first.sessions + count, first.shape + count / 2
    mean = (first.sessions * first.mean[0] + rest.sum()) / sessions
    gap = (rest.mean() - first.mean[0]) if count else 0.0
    squares = ((rest - rest.mean()) ** 2).sum() if count else 0.0
    scale = first.scale[0] + squares / 2 + first.sessions * count * gap**2 / (2 * sessions)
    whole = posterior(values, PRIOR)
    assert (whole.sessions, whole.shape) == (sessions, shape)
    assert whole.mean[0] == pytest.approx(mean, abs=1e-12)
    assert whole.scale[0] == pytest.approx(scale, rel=1e-9)


def test_the_probability_of_being_best_is_the_integral_over_the_marginals() -> None:
    known = Posterior(np.array([0.001, 0.0, -0.0005]), 50.0, 20.0, np.array([2e-4, 4e-4, 1e-4]))
    marginals = [
        stats.t(40, mean, np.sqrt(scale / (20.0 * 50.0))) for mean, scale in zip(known.mean, known.scale, strict=True)
    ]
    expected = [
        integrate.quad(
            lambda x, own=own: own.pdf(x) * np.prod([other.cdf(x) for other in marginals if other is not own]),
            -0.01,
            0.01,
        )[0]
        for own in marginals
    ]
    found = probability_of_being_best(known, 200_000, np.random.default_rng(3))
    assert sum(found) == pytest.approx(1)
    assert found == pytest.approx(expected, abs=0.005)


def test_strategies_that_nothing_tells_apart_have_equal_probability() -> None:
    found = probability_of_being_best(posterior(np.empty((0, 4)), PRIOR), 40_000, np.random.default_rng(0))
    assert found == pytest.approx(0.25, abs=0.01)


def test_the_bet_is_settled_as_worked_by_hand() -> None:
    evidence = Evidence(0.02)
    for gain in (0.01, -0.005, 0.1):
        evidence.settle(gain)
    by_hand = np.mean([(1 + 0.5 * f) * (1 - 0.25 * f) * (1 + f) for f in Evidence.STAKES])
    assert evidence.e_value == pytest.approx(by_hand)


def test_the_expected_capital_of_a_fair_bet_is_one() -> None:
    """Over all equally likely paths of a fair coin, whatever was staked: the definition of a martingale."""
    ends = []
    for path in product((-0.013, 0.013), repeat=10):
        evidence = Evidence(0.02)
        for gain in path:
            evidence.settle(gain)
        ends.append(evidence.e_value)
    assert np.mean(ends) == pytest.approx(1, abs=1e-9)


def test_a_fair_bet_reaches_twenty_in_at_most_one_world_of_twenty_and_an_unfair_one_in_most() -> None:
    def reached(mean: float) -> float:
        rng = np.random.default_rng(1)
        gains = mean + 0.004 * rng.standard_normal((400, 500))  # [world, session]
        clipped = np.clip(gains, -0.02, 0.02) / 0.02
        capital = np.exp(np.cumsum(np.log1p(Evidence.STAKES[:, None, None] * clipped), axis=2)).mean(axis=0)
        return float((capital.max(axis=1) >= 20).mean())

    assert reached(0.0) <= 0.05
    assert reached(0.001) >= 0.9
