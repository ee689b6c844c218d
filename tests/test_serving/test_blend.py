import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import ModelError
from serving.forecasts import Member, blend, direction_of, name_blend, sign_probability

RETURNS = st.floats(-0.5, 0.5)
ORDERED = st.tuples(RETURNS, RETURNS, RETURNS).map(sorted)


def as_array(quantiles):
    return np.array(quantiles, np.float32).reshape(1, 1, 3)


@given(ORDERED, ORDERED, st.floats(0, 1))
def test_a_blend_of_ordered_quantiles_is_ordered_and_between_its_members(a, b, weight):
    found = blend({"a": as_array(a), "b": as_array(b)}, {"a": weight, "b": 1 - weight})[0, 0]
    assert (np.diff(found) >= 0).all()
    both = np.float32([a, b]).astype(np.float64)
    assert (found <= both.max(axis=0) + 1e-12).all()
    assert (found >= both.min(axis=0) - 1e-12).all()


@given(ORDERED)
def test_a_model_blended_with_itself_is_itself(quantiles):
    found = blend({"a": as_array(quantiles), "b": as_array(quantiles)}, {"a": 0.3, "b": 0.7})
    assert np.allclose(found[0, 0], np.float32(quantiles), atol=1e-9)


def test_weights_may_differ_by_window_and_horizon():
    up, down = np.full((2, 2, 3), 0.1, np.float32), np.full((2, 2, 3), -0.1, np.float32)
    of_up = np.array([[1.0, 0.25], [0.5, 0.0]])
    found = blend({"up": up, "down": down}, {"up": of_up, "down": 1 - of_up})
    assert np.allclose(found[:, :, 1], [[0.1, -0.05], [0.0, -0.1]])


def test_weights_that_do_not_sum_to_one_at_one_horizon_are_refused():
    predictions = {"naive": np.zeros((1, 2, 3), np.float32), "ridge": np.ones((1, 2, 3), np.float32)}
    with pytest.raises(ModelError, match="sum to one"):
        blend(predictions, {"naive": np.array([[0.5, 0.5]]), "ridge": np.array([[0.5, 0.4]])})


def test_a_weighted_model_without_a_prediction_is_not_left_out():
    with pytest.raises(ModelError, match="name tft, for which there is no prediction"):
        blend({"naive": as_array([-1, 0, 1])}, {"naive": 0.5, "tft": 0.5})


@pytest.mark.parametrize("weights", [{"naive": 0.9}, {"naive": 1.5, "ridge": -0.5}, {"naive": 0.0, "ridge": 0.0}])
def test_weights_that_are_no_weights_are_refused(weights):
    predictions = {"naive": as_array([-1, 0, 1]), "ridge": as_array([-1, 0, 1])}
    with pytest.raises(ModelError, match="sum to one"):
        blend(predictions, weights)


def test_one_member_answers_under_its_own_name():
    member = Member("lstm", "3", "ab" * 32, 1.0)
    assert name_blend([member]) == member


def test_a_blend_is_named_by_its_members_whatever_their_order():
    first, second = Member("tft", "2", "ab" * 32, 0.4), Member("lstm", "3", "cd" * 32, 0.6)
    made = name_blend([first, second])
    assert made == name_blend([second, first])
    assert (made.name, made.version, len(made.digest)) == ("blend", "lstm-3+tft-2", 64)
    assert made.digest != name_blend([first, second._replace(digest="ef" * 32)]).digest


@pytest.mark.parametrize(("p50", "direction"), [(1e-9, "up"), (-1e-9, "down"), (0.0, "flat")])
def test_the_direction_is_the_sign_of_the_median(p50, direction):
    assert direction_of(p50) == direction


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.2))
def test_of_normal_quantiles_the_sign_probability_is_the_normal_one(mean, sigma):
    normal = NormalDist(mean, sigma)
    p10, p90 = normal.inv_cdf(0.1), normal.inv_cdf(0.9)
    expected = max(normal.cdf(0), 1 - normal.cdf(0))
    assert math.isclose(sign_probability(p10, mean, p90), expected, abs_tol=1e-9)


@given(ORDERED)
def test_the_sign_probability_is_a_probability_of_the_likelier_sign(quantiles):
    assert 0.5 <= sign_probability(*quantiles) <= 1


def test_it_meets_the_quantiles_exactly():
    assert math.isclose(sign_probability(0.0, 0.02, 0.9), 0.9, abs_tol=1e-12)
    assert math.isclose(sign_probability(-0.9, -0.02, 0.0), 0.9, abs_tol=1e-12)
    assert sign_probability(-0.1, 0.0, 0.3) == 0.5
    assert sign_probability(0.01, 0.01, 0.01) == 1.0


def test_how_often_the_direction_came_true_checks_it():
    """Returns drawn from the forecast's own distribution go the way it says as often as it says."""
    random = np.random.default_rng(0)
    drawn = random.normal(0.01, 0.02, 200_000)
    p10, p50, p90 = np.quantile(drawn, [0.1, 0.5, 0.9])
    assert abs(sign_probability(p10, p50, p90) - (drawn > 0).mean()) < 0.005
