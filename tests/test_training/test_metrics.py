import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics
from statsmodels.api import OLS

from lake.errors import ModelError
from training.judge import (
    coverage,
    direction_hits,
    hit_rate,
    information_coefficient,
    mean_absolute_error,
    pinball_loss,
)

QUANTILES = (0.1, 0.5, 0.9)


@pytest.fixture
def random():
    return np.random.default_rng(7)


def test_mean_absolute_error_agrees_with_scikit_learn(random):
    truth, forecast = random.standard_normal((2, 500))
    assert mean_absolute_error(truth, forecast) == pytest.approx(
        sklearn_metrics.mean_absolute_error(truth, forecast), rel=1e-12
    )


def test_pinball_loss_agrees_with_scikit_learn_level_by_level(random):
    truth, forecast = random.standard_normal(300), random.standard_normal((300, 3))
    outside = [
        sklearn_metrics.mean_pinball_loss(truth, forecast[:, column], alpha=level)
        for column, level in enumerate(QUANTILES)
    ]
    assert pinball_loss(truth, forecast, QUANTILES) == pytest.approx(np.mean(outside), rel=1e-12)


def test_pinball_loss_by_hand():
    # e = 2 at level 0.1 costs 0.2; e = 1 at 0.5 costs 0.5; e = -1 at 0.9 costs 0.1.
    assert pinball_loss([3.0], [[1.0, 2.0, 4.0]], QUANTILES) == pytest.approx((0.2 + 0.5 + 0.1) / 3)


def test_coverage_counts_both_ends_of_the_band():
    assert coverage([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0]) == 0.5


def test_a_forecast_of_zero_takes_no_side_and_an_outcome_of_zero_is_a_miss():
    np.testing.assert_array_equal(
        direction_hits([0.1, -0.1, 0.1, 0.0, np.nan], [0.2, 0.2, 0.0, 0.2, 0.2]), [1, 0, np.nan, 0, np.nan]
    )
    assert hit_rate([0.1, -0.1, 0.1, 0.0], [0.2, 0.2, 0.0, 0.2]) == pytest.approx(1 / 3)


def test_the_naive_forecast_has_no_hit_rate_and_no_rank_correlation():
    assert hit_rate([0.1, -0.2, 0.3], [0.0, 0.0, 0.0]) is None
    assert information_coefficient([1, 1, 1], [0.1, -0.2, 0.3], [0.0, 0.0, 0.0]) == (None, None, 0)


def test_pairs_that_are_not_known_count_for_nothing():
    assert mean_absolute_error([0.25, None, math.nan, -0.5], [0.0, 0.1, 9.0, 0.0]) == 0.375
    assert pinball_loss([1.0, 1.0], [[1.0, 1.0, 1.0], [0.0, math.nan, 0.0]], QUANTILES) == 0.0
    assert coverage([1.0, math.nan, 1.0], [0.0, 0.0, math.nan], [2.0, 2.0, 2.0]) == 1.0
    with_gap = information_coefficient([1] * 4, [1.0, 2.0, 3.0, math.nan], [1.0, 2.0, 3.0, -9.0])
    assert (with_gap.mean, with_gap.sessions) == (pytest.approx(1.0), 1)


def test_nothing_known_is_none_never_zero():
    assert mean_absolute_error([], []) is None
    assert pinball_loss([math.nan], [[1.0, 2.0, 3.0]], QUANTILES) is None
    assert coverage([math.nan], [0.0], [1.0]) is None
    assert hit_rate([math.nan], [1.0]) is None
    assert information_coefficient([], [], []) == (None, None, 0)


def test_infinite_numbers_and_unpaired_rows_are_refused_with_the_reason():
    with pytest.raises(ModelError, match="is infinite"):
        mean_absolute_error([1.0], [math.inf])
    with pytest.raises(ModelError, match=r"shapes \[\(2,\), \(1,\)\]"):
        mean_absolute_error([1.0, 2.0], [1.0])


def test_information_coefficient_agrees_with_scipy_session_by_session(random):
    sessions = np.repeat(np.arange(60).astype("datetime64[D]"), 25)
    truth = random.standard_normal(sessions.size).round(1)  # rounding makes ties
    forecast = (0.3 * truth + random.standard_normal(sessions.size)).round(1)
    outside = [
        stats.spearmanr(truth[sessions == session], forecast[sessions == session]).statistic
        for session in np.unique(sessions)
    ]
    shuffle = random.permutation(sessions.size)
    found = information_coefficient(sessions[shuffle], truth[shuffle], forecast[shuffle])
    assert found.sessions == 60
    assert found.mean == pytest.approx(np.mean(outside), rel=1e-12)
    assert found.t_value == pytest.approx(stats.ttest_1samp(outside, 0).statistic, rel=1e-10)


@pytest.mark.parametrize("overlap", [1, 4])
def test_overlapping_outcomes_get_the_standard_error_of_newey_and_west(random, overlap):
    sessions = np.repeat(np.arange(80), 10)
    truth, forecast = random.standard_normal((2, sessions.size))
    scores = [stats.spearmanr(truth[sessions == s], forecast[sessions == s]).statistic for s in range(80)]
    outside = OLS(scores, np.ones(80)).fit(cov_type="HAC", cov_kwds={"maxlags": overlap, "use_correction": True})
    found = information_coefficient(sessions, truth, forecast, overlap=overlap)
    assert found.t_value == pytest.approx(outside.tvalues[0], rel=1e-10)


def test_sessions_that_all_score_alike_have_no_t_value():
    sessions = np.repeat([1, 2, 3], 5)
    rising = np.tile(np.arange(5.0), 3)
    assert information_coefficient(sessions, rising, rising) == (pytest.approx(1.0), None, 3)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=20), st.floats(0.1, 10))
def test_the_rank_correlation_does_not_see_the_scale_of_the_forecast(truth, factor):
    forecast = np.linspace(-1, 1, len(truth))
    first = information_coefficient([0] * len(truth), truth, forecast)
    second = information_coefficient([0] * len(truth), truth, np.exp(factor * forecast))
    assert first.mean == second.mean
    assert first.mean is None or -1 - 1e-12 <= first.mean <= 1 + 1e-12


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=50))
def test_no_single_number_has_a_lower_pinball_loss_than_the_quantile(truth):
    for level in QUANTILES:
        best = np.quantile(truth, level, method="inverted_cdf")
        least = pinball_loss(truth, np.full((len(truth), 1), best), (level,))
        for other in (best - 0.5, best + 0.5, *truth):
            assert least <= pinball_loss(truth, np.full((len(truth), 1), other), (level,)) + 1e-9
