"""Results that can be written down: buy and hold, equal weights, rebalancing, and schedules of Almgren and Chriss."""

import numpy as np
import numpy.typing as npt
import pytest

from lake.errors import ConfigError
from lake.execution import NO_COSTS, Costs, LinearImpact, TradedPanel, optimal_schedule, simulate_targets, traded_panel
from support.execution_worlds import sessions_of

EXACT = 1e-10
SESSIONS, SYMBOLS = 60, 4
PUBLISHED = LinearImpact(volatility=0.95, half_spread=0.0625, temporary=2.5e-6, permanent=2.5e-7)
LAMBDA = 1e-6


def returns() -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(7)
    return np.exp(rng.normal(0, 0.02, (SESSIONS, SYMBOLS)))


def panel_of(growth: npt.NDArray[np.float64]) -> TradedPanel:
    """Return bars that open at the close before, so that a target of a close is reached at its price."""
    close = 50.0 * np.cumprod(growth, axis=0)
    opened = np.vstack([close[:1], close[:-1]])
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return traded_panel(
        sessions_of(SESSIONS), [f"S{n}" for n in range(SYMBOLS)], open=opened, high=high, low=low, close=close
    )


def once(weights: list[float]) -> npt.NDArray[np.float64]:
    targets = np.full((SESSIONS, SYMBOLS), np.nan)
    targets[0] = weights
    return targets


def test_buy_and_hold_grows_as_its_instrument() -> None:
    growth = returns()
    path = simulate_targets(panel_of(growth), once([0, 1, 0, 0]), NO_COSTS, cash=1_000.0)
    expected = 1_000.0 * np.cumprod(np.r_[1.0, growth[1:, 1]])
    np.testing.assert_allclose(path.equity, expected, rtol=EXACT)


def test_equal_weights_bought_once_drift() -> None:
    growth = returns()
    path = simulate_targets(panel_of(growth), once([0.25] * 4), NO_COSTS, cash=1_000.0)
    expected = 1_000.0 * np.vstack([np.ones(SYMBOLS), np.cumprod(growth[1:], axis=0)]).mean(axis=1)
    np.testing.assert_allclose(path.equity, expected, rtol=EXACT)


def test_two_assets_rebalanced_at_each_close_compound_their_weighted_returns() -> None:
    growth, weights = returns(), np.array([0.6, 0.4, 0.0, 0.0])
    path = simulate_targets(panel_of(growth), np.tile(weights, (SESSIONS, 1)), NO_COSTS, cash=1_000.0)
    expected = 1_000.0 * np.cumprod(np.r_[1.0, growth[1:] @ weights])
    np.testing.assert_allclose(path.equity, expected, rtol=EXACT)


def test_a_rate_of_costs_takes_its_part_of_the_value_traded() -> None:
    growth = returns()
    costs = Costs(fee_bps=3, half_spread_bps=5, slippage_bps=2, impact_coefficient=0, most_of_volume=None)
    path = simulate_targets(panel_of(growth), once([0, 0.5, 0, 0]), costs, cash=1_000.0)
    assert path.equity[1] == pytest.approx(1_000.0 - 500 * 10e-4 + 500 * (growth[1, 1] - 1), abs=1e-9)


def test_even_schedule_costs_what_the_paper_says() -> None:
    even = optimal_schedule(1e6, 5, 5, PUBLISHED)
    assert even.cost == pytest.approx(662_500, rel=1e-12)
    assert even.deviation**2 == pytest.approx(1.083e12, rel=1e-12)
    assert even.holdings.tolist() == pytest.approx([1e6, 8e5, 6e5, 4e5, 2e5, 0])


def test_risk_averse_schedule_costs_what_the_paper_says() -> None:
    schedule = optimal_schedule(1e6, 5, 5, PUBLISHED, LAMBDA)
    assert schedule.kappa == pytest.approx(0.607, abs=5e-4)
    assert schedule.cost == pytest.approx(911_227, abs=1)
    assert schedule.deviation == pytest.approx(603_431, abs=1)


def test_no_other_schedule_is_better() -> None:
    schedule = optimal_schedule(1e6, 5, 5, PUBLISHED, LAMBDA)
    rng = np.random.default_rng(3)

    def utility(holdings: npt.NDArray[np.float64]) -> float:
        trades = -np.diff(holdings)
        eta = PUBLISHED.temporary - PUBLISHED.permanent / 2
        cost = PUBLISHED.permanent * 1e12 / 2 + PUBLISHED.half_spread * np.abs(trades).sum() + eta * (trades**2).sum()
        return cost + LAMBDA * PUBLISHED.volatility**2 * (holdings[1:] ** 2).sum()

    best = utility(schedule.holdings)
    assert best == pytest.approx(schedule.cost + LAMBDA * schedule.deviation**2)
    for _ in range(200):
        other = schedule.holdings.copy()
        other[1:-1] += rng.normal(0, 1e4, 4)
        assert utility(other) > best


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        optimal_schedule(0, 5, 5, PUBLISHED)
    with pytest.raises(ConfigError, match="take shorter periods"):
        optimal_schedule(1e6, 100, 1, PUBLISHED)
    with pytest.raises(ConfigError, match="temporary = -1"):
        LinearImpact(volatility=1, half_spread=0, temporary=-1, permanent=0)
