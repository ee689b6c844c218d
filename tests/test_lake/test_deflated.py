"""Sharpe statistics and the deflated Sharpe ratio, against published figures and against computations by hand."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from lake.ledger import (
    SharpeStatistics,
    deflated_sharpe,
    effective_sessions,
    expected_maximum,
    lags_of,
    ratio_variance,
    sharpe_statistics,
)

PER_SESSION = 2.5 / math.sqrt(250)
"""An annual Sharpe ratio of 2.5, as in the example of Bailey and López de Prado (2014)."""
VARIANCE = 0.5 / 250


@pytest.mark.parametrize(
    ("skewness", "kurtosis", "trials", "expected"),
    [(-3.0, 10.0, 100, 0.9004), (-3.0, 10.0, 46, 0.9505), (0.0, 3.0, 88, 0.9505)],
)
def test_the_published_example_is_reproduced(skewness: float, kurtosis: float, trials: int, expected: float) -> None:
    chosen = SharpeStatistics(PER_SESSION, skewness, kurtosis, 1250, 1250.0)
    assert deflated_sharpe(chosen, trials, VARIANCE) == pytest.approx(expected, abs=5e-5)


def test_the_statistics_are_those_computed_by_hand() -> None:
    gains = [0.03, -0.01, 0.02, 0.00, 0.01, -0.02, 0.04, 0.01]
    mean = sum(gains) / 8  # .01
    second, third, fourth = (sum((gain - mean) ** power for gain in gains) / 8 for power in (2, 3, 4))
    found = sharpe_statistics(np.array(gains))
    assert found is not None
    assert found.ratio == pytest.approx(mean / math.sqrt(second * 8 / 7), abs=1e-12)
    assert found.skewness == pytest.approx(third / second**1.5, abs=1e-12)
    assert found.kurtosis == pytest.approx(fourth / second**2, abs=1e-12)
    assert found.sessions == 8
    spread = 1 - found.skewness * found.ratio + (found.kurtosis - 1) / 4 * found.ratio**2
    first, later = NormalDist().inv_cdf(1 - 1 / 20), NormalDist().inv_cdf(1 - 1 / (20 * math.e))
    threshold = math.sqrt(0.01) * ((1 - 0.5772156649015329) * first + 0.5772156649015329 * later)
    error = math.sqrt(spread / (found.effective_sessions - 1))
    by_hand = NormalDist().cdf((found.ratio - threshold) / error)
    assert expected_maximum(20, 0.01) == pytest.approx(threshold, abs=1e-12)
    assert ratio_variance(found) == pytest.approx(error**2, abs=1e-12)
    assert deflated_sharpe(found, 20, 0.01) == pytest.approx(by_hand, abs=1e-12)


def test_the_expected_maximum_is_what_the_best_of_many_draws_has() -> None:
    draws = np.random.default_rng(1).normal(0, 0.1, (20_000, 50)).max(axis=1)
    assert expected_maximum(50, 0.01) == pytest.approx(draws.mean(), rel=0.02)
    assert [expected_maximum(count, 0.01) for count in (1, 0)] == [0, 0]
    assert sorted(found := [expected_maximum(count, 0.01) for count in (2, 10, 100, 1000)]) == found


def test_independent_gains_count_nearly_all_and_overlapping_ones_a_part() -> None:
    shares = []
    for seed in range(40):
        independent = np.random.default_rng(seed).normal(size=1_004)
        overlapping = np.convolve(independent, np.ones(5), "valid")
        shares.append([effective_sessions(each, lags_of(5)) / 1_000 for each in (independent[:1_000], overlapping)])
    independent_share, overlapping_share = np.mean(shares, axis=0)
    assert 0.85 < independent_share <= 1
    assert 0.2 < overlapping_share < 0.35  # a fifth, were all lags counted in full


def test_the_long_run_variance_is_newey_and_wests() -> None:
    gains = np.random.default_rng(2).normal(size=60).cumsum()
    centred = gains - gains.mean()
    long_run = float(centred @ centred) / 60
    for lag in range(1, 11):
        long_run += 2 * (1 - lag / 11) * float(centred[lag:] @ centred[:-lag]) / 60
    assert effective_sessions(gains, 10) == pytest.approx(60 * gains.var() / long_run, rel=1e-12)


def test_gains_that_alternate_are_worth_no_more_sessions_than_there_are() -> None:
    assert effective_sessions(np.array([1.0, -1.0] * 50), 10) == 100


@pytest.mark.parametrize("gains", [[], [0.1, 0.2], [0.0] * 50, [0.1] * 50])
def test_gains_without_a_spread_have_no_ratio(gains: list[float]) -> None:
    assert sharpe_statistics(np.array(gains)) is None
