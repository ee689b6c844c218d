"""Methods against closed forms, and broken inputs that end in a named fallback."""

from collections.abc import Iterator

import numpy as np
import pytest

from lake.errors import UnknownNameError
from serving.portfolio import METHODS, DeclaredPortfolio, ForecastViews, method_named, risk_shares, target_weights
from serving.portfolio.solving import equal_risk_weights, mean_variance_weights
from support.portfolios import drawn_returns, inputs_of

SOLVED = [name for name, method in METHODS.items() if method.needs == "covariance"]


def declared(method: str, **others: float) -> DeclaredPortfolio:
    return DeclaredPortfolio("core", method, **others)  # type: ignore[arg-type]


def views_of(medians: list[float], half: float = 0.02) -> ForecastViews:
    middle = np.array(medians)
    return ForecastViews(5, middle, middle - half, middle + half)


def test_least_variance_is_the_closed_form() -> None:
    returns = drawn_returns(2, 300)
    covariance = np.array([[0.04, 0.01], [0.01, 0.09]])
    found = mean_variance_weights(returns, np.zeros(2), covariance, 2.5, 1.0)
    raw = np.linalg.solve(covariance, np.ones(2))
    np.testing.assert_allclose(found, raw / raw.sum(), atol=2e-6)


def test_equal_risk_of_two_symbols_is_inverse_volatility_and_shares_are_equal_for_more() -> None:
    returns = drawn_returns(2, 300)
    covariance = np.array([[0.04, 0.03], [0.03, 0.09]])
    np.testing.assert_allclose(equal_risk_weights(returns, covariance, 1.0), [0.6, 0.4], atol=1e-5)
    inputs = inputs_of(drawn_returns(5, 250))
    found = target_weights(inputs, declared("equal_risk", most_weight=1.0))
    np.testing.assert_allclose(risk_shares(found.weights, inputs.covariance), np.full(5, 0.2), atol=2e-5)


def test_hierarchical_risk_parity_halves_the_risk_between_two_pairs_by_hand() -> None:
    random = np.random.default_rng(5)
    left, right = random.normal(0, 0.01, (2, 250, 1))
    returns = np.column_stack([left, left, right, right]) * [1, 2, 1, 3] + random.normal(0, 0.002, (250, 4))
    inputs = inputs_of(returns)
    found = target_weights(inputs, declared("hierarchical_risk_parity", most_weight=1.0))
    assert found.used == "hierarchical_risk_parity", found.reason
    covariance = inputs.covariance
    within, variance = [], []
    for pair in (slice(0, 2), slice(2, 4)):
        block = covariance[pair, pair]
        weights = (1 / np.diag(block)) / (1 / np.diag(block)).sum()
        within.append(weights)
        variance.append(weights @ block @ weights)
    share = 1 - variance[0] / sum(variance)
    np.testing.assert_allclose(found.weights, [*(share * within[0]), *((1 - share) * within[1])], atol=1e-9)


def test_hierarchical_risk_parity_of_two_symbols_weighs_by_inverse_variance() -> None:
    inputs = inputs_of(drawn_returns(2, 250))
    found = target_weights(inputs, declared("hierarchical_risk_parity", most_weight=1.0))
    inverse = 1 / np.diag(inputs.covariance)
    assert found.used == "hierarchical_risk_parity"
    np.testing.assert_allclose(found.weights, inverse / inverse.sum())


def test_without_a_view_black_litterman_holds_the_market_and_a_view_moves_it_towards_the_forecast() -> None:
    market = np.array([0.2, 0.15, 0.25, 0.2, 0.2])
    returns = drawn_returns(5, 250)
    still = target_weights(inputs_of(returns, market=market), declared("black_litterman"))
    np.testing.assert_allclose(still.weights, market)
    nothing = ForecastViews(5, *np.full((3, 5), np.nan))
    np.testing.assert_allclose(
        target_weights(inputs_of(returns, nothing, market), declared("black_litterman")).weights, market
    )
    up = views_of([0.03, *[np.nan] * 4])
    moved = target_weights(inputs_of(returns, up, market), declared("black_litterman", most_weight=1.0))
    unsure = views_of([0.03, *[np.nan] * 4], half=0.2)
    less = target_weights(inputs_of(returns, unsure, market), declared("black_litterman", most_weight=1.0))
    assert moved.weights[0] > less.weights[0] > market[0], "a wider band moves less"
    assert moved.expected is not None
    assert less.expected is not None
    assert moved.expected[0] > less.expected[0]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_weights_within_the_limits_and_the_same_ones_again(method: str) -> None:
    inputs = inputs_of(drawn_returns(8, 250), views_of([0.01, -0.01, 0.0, 0.02, 0.0, 0.0, -0.02, 0.01]))
    found, again = (target_weights(inputs, declared(method)) for _ in range(2))
    assert (found.used, found.reason) == (method, None)
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-9)
    assert found.weights.min() >= 0
    assert found.weights.max() <= 0.25 + 1e-4
    np.testing.assert_array_equal(found.weights, again.weights)


def test_cost_keeps_weights_nearer_to_those_that_are_held() -> None:
    inputs, held = inputs_of(drawn_returns(5, 250)), np.full(5, 0.2)
    free = target_weights(inputs, declared("mean_variance_with_costs", cost_bps=0.0), held)
    dear = target_weights(inputs, declared("mean_variance_with_costs", cost_bps=20.0), held)
    assert np.abs(dear.weights - held).sum() < np.abs(free.weights - held).sum()


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="black_litterman"):
        method_named("markowitz")
    with pytest.raises(UnknownNameError, match="equal_risk"):
        declared("equal_risks")


def broken(number: int) -> np.ndarray:
    """Return returns that no covariance can be made of, of one of eight kinds."""
    random = np.random.default_rng(number)
    count, bars = int(random.integers(2, 9)), int(random.integers(80, 260))
    returns = drawn_returns(count, bars, seed=number)
    place = int(random.integers(count))
    match number % 8:
        case 0:
            returns[int(random.integers(bars)), place] = np.nan
        case 1:
            returns = np.outer(random.normal(0, 0.01, bars), random.uniform(0.5, 2, count))
        case 2:
            returns = returns[: int(random.integers(2, 59))]
        case 3:
            returns[:, place] = random.choice([0.0, 0.001])
        case 4:
            returns[int(random.integers(bars)), place] = random.choice([np.inf, -np.inf])
        case 5:
            returns = returns[:, :1]
        case 6:
            returns = np.column_stack([returns, returns[:, place]])
        case _:
            returns = drawn_returns(100, 80, seed=number)
    return returns


def broken_cases(count: int) -> Iterator[tuple[int, str]]:
    for number in range(count):
        yield number, SOLVED[number // 8 % len(SOLVED)]


def require_named_fallback(number: int, method: str) -> None:
    inputs = inputs_of(broken(number))
    held = None if number % 3 else np.full(inputs.count, 1 / inputs.count)
    found = target_weights(inputs, declared(method), held)
    assert found.used in {"last_weights", "inverse_volatility", "equal"}, (number, method)
    assert found.used == "last_weights" if held is not None else found.used != "last_weights"
    assert found.reason, (number, method)
    assert np.isfinite(found.weights).all()
    assert found.weights.sum() == pytest.approx(1.0)
    assert found.weights.min() >= 0


def test_broken_inputs_end_in_a_named_fallback() -> None:
    for number, method in broken_cases(56):
        require_named_fallback(number, method)


@pytest.mark.slow
def test_500_broken_inputs_end_in_a_named_fallback() -> None:
    for number, method in broken_cases(500):
        require_named_fallback(number, method)


def test_the_reason_says_what_is_wrong() -> None:
    returns = drawn_returns(3, 100)
    cases = {
        "returns of S1 are missing or infinite": np.where(np.arange(3) == 1, np.nan, returns),
        "S2 did not move": np.where(np.arange(3) == 2, 0.0, returns),
        "50 bars are too few for 3 symbols: 60 are needed": returns[:50],
        "there is one symbol only": returns[:, :1],
        "S0 and S3 move alike": np.column_stack([returns, returns[:, 0]]),
    }
    for reason, each in cases.items():
        assert reason in str(target_weights(inputs_of(each), declared("equal_risk")).reason)


def test_what_a_solver_raises_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("infeasible\nand more")

    monkeypatch.setattr("serving.portfolio.solving.equal_risk_weights", fail)
    found = target_weights(inputs_of(drawn_returns(3, 100)), declared("equal_risk"))
    assert (found.used, found.reason) == ("inverse_volatility", "the method failed: RuntimeError, infeasible")
