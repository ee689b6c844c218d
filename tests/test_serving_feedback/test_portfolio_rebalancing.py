"""When portfolios are looked at, and that each trade gains more than it costs; the optimum by another solver."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ConfigError
from serving.portfolio import RebalancingRule, shrunk_covariance, trades_worth_their_cost
from serving.portfolio.rebalancing import trigger_of
from support.portfolios import drawn_returns

DELTA, BARS = 2.5, 21


def weights_from(random: np.random.Generator, count: int) -> np.ndarray:
    drawn = random.dirichlet(np.ones(count))
    return np.where(drawn < 0.02, 0.0, drawn) / np.where(drawn < 0.02, 0.0, drawn).sum()


def curvature(targets: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    against = [
        (np.eye(len(targets))[place] - targets) @ covariance @ (np.eye(len(targets))[place] - targets)
        for place in range(len(targets))
    ]
    return DELTA * BARS * np.array(against)


@given(seed=st.integers(0, 10_000), count=st.integers(2, 8), cost=st.sampled_from([0.0, 1e-4, 5e-4, 2e-3]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_weights_sum_to_one_each_trade_gains_more_than_it_costs_and_stops_at_the_edge(
    seed: int, count: int, cost: float
) -> None:
    random = np.random.default_rng(seed)
    covariance = shrunk_covariance(drawn_returns(count, 100, seed))
    targets, held = weights_from(random, count), weights_from(random, count)
    found = trades_worth_their_cost(targets, held, covariance, DELTA, BARS, cost)
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-9)
    assert found.weights.min() >= 0
    trades = np.abs(found.weights - held)
    assert found.cost == pytest.approx(cost * trades.sum())
    if cost:
        assert found.gain > found.cost or not trades.any()
    inside = (held >= found.band.low) & (held <= found.band.high)
    assert not trades[inside].any(), "no trade within the band"
    edges = np.minimum(np.abs(found.weights - found.band.low), np.abs(found.weights - found.band.high))
    assert (edges[trades > 0] < 1e-6).all(), "a trade stops at the edge of the band"


@pytest.mark.parametrize("seed", range(4))
def test_the_trades_are_the_optimum_that_another_solver_finds(seed: int) -> None:
    import cvxpy

    random = np.random.default_rng(seed)
    covariance = shrunk_covariance(drawn_returns(6, 100, seed))
    targets, held, cost = weights_from(random, 6), weights_from(random, 6), 3e-4
    found = trades_worth_their_cost(targets, held, covariance, DELTA, BARS, cost)
    wanted, scale = cvxpy.Variable(6, nonneg=True), 1e4
    loss = cvxpy.sum(cvxpy.multiply(scale * curvature(targets, covariance) / 2, cvxpy.square(wanted - targets)))
    problem = cvxpy.Problem(cvxpy.Minimize(loss + scale * cost * cvxpy.norm1(wanted - held)), [cvxpy.sum(wanted) == 1])
    problem.solve(solver="CLARABEL")
    np.testing.assert_allclose(found.weights, wanted.value, atol=2e-5)


def test_without_cost_everything_goes_to_the_target_and_at_a_high_one_nothing_moves() -> None:
    covariance = shrunk_covariance(drawn_returns(3, 100))
    targets, held = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
    np.testing.assert_allclose(trades_worth_their_cost(targets, held, covariance, DELTA, BARS, 0.0).weights, targets)
    dear = trades_worth_their_cost(targets, held, covariance, DELTA, BARS, 0.1)
    np.testing.assert_array_equal(dear.weights, held)
    assert (dear.cost, dear.gain) == (0.0, 0.0)


def test_what_cannot_be_traded_stays_and_what_was_sold_is_shared_out() -> None:
    covariance = shrunk_covariance(drawn_returns(3, 100))
    fixed = np.array([False, False, True])
    found = trades_worth_their_cost(
        np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.4, 0.3]), covariance, DELTA, BARS, 1e-4, fixed
    )
    assert found.weights[2] == 0.3
    assert found.weights.sum() == pytest.approx(1.0)
    blind = trades_worth_their_cost(
        np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.4, 0.3]), np.zeros((3, 3)), DELTA, BARS, 1e-4, fixed
    )
    assert blind.weights.sum() == pytest.approx(1.0), "even where no gain is known"


@pytest.mark.parametrize(
    ("drifted", "bars", "volatility", "expected"),
    [
        ([0.5, 0.495, 0.005], 20, 0.15, None),
        ([0.5, 0.495, 0.005], 21, 0.15, "calendar"),
        ([0.551, 0.444, 0.005], 1, 0.15, "threshold"),
        ([0.5, 0.4875, 0.0125], 1, 0.15, None),  # a weight below 1 % counts in points alone
        ([0.5, 0.495, 0.005], 1, 0.181, "volatility"),
        ([0.5, 0.495, 0.005], 1, None, None),
    ],
)
def test_the_three_reasons_for_a_review(
    drifted: list[float], bars: int, volatility: float | None, expected: str | None
) -> None:
    reviewed = np.array([0.5, 0.495, 0.005])
    assert trigger_of(RebalancingRule(), reviewed, np.array(drifted), bars, volatility, 0.15) == expected


def test_a_fifth_of_a_weight_is_a_reason_before_five_points_are() -> None:
    reviewed = np.full(25, 0.04)
    drifted = reviewed + np.array([0.0085, -0.0085, *np.zeros(23)])
    assert trigger_of(RebalancingRule(), reviewed, drifted, 1, None, None) == "threshold"


def test_a_rule_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="review_bars 0"):
        RebalancingRule(review_bars=0)
