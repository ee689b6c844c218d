"""What strategies hold and earn, worked out by hand and by a ledger of cash and shares."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import ConflictError, UnknownNameError
from lake.spec import INSTANT
from serving.strategies import STRATEGIES, STRATEGY_NAMES, net_returns, positions, strategy_named
from serving.strategies.pool import COST_BPS, Sizing, StrategySpec

DAY = datetime(2012, 1, 3, 21, tzinfo=UTC)
PLAIN = StrategySpec(
    "plain", "ridge", Sizing("band", scale=1.0, half_life_sessions=1e-9), "Follows its target at once."
)


def days(count: int) -> list[datetime]:
    return [DAY + timedelta(days=day) for day in range(count)]


def forecasts(medians: np.ndarray, half_band: float = 0.02, model: str = "ridge") -> pl.DataFrame:
    """One-session forecasts ``[session, symbol]`` with one band for all."""
    rows = [
        (f"S{column}", at, 1, model, middle - half_band, middle, middle + half_band)
        for at, row in zip(days(len(medians)), medians.tolist(), strict=True)
        for column, middle in enumerate(row)
    ]
    names = ["symbol", "event_time", "horizon_sessions", "model_name", "p10", "p50", "p90"]
    return pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"event_time": INSTANT})


def truth(returns: np.ndarray) -> pl.DataFrame:
    rows = [
        (f"S{column}", at, at + timedelta(days=1), value)
        for at, row in zip(days(len(returns)), returns.tolist(), strict=True)
        for column, value in enumerate(row)
    ]
    names = ["symbol", "event_time", "known_time", "forward_return"]
    kinds = {"event_time": INSTANT, "known_time": INSTANT, "forward_return": pl.Float64}
    return pl.DataFrame(rows, schema=names, orient="row", schema_overrides=kinds)


def matrix(held: pl.DataFrame) -> np.ndarray:
    return held.pivot("symbol", index="event_time", values="position").sort("event_time").drop("event_time").to_numpy()


def test_the_pool_is_declared_once_with_the_naive_strategy_and_every_model() -> None:
    assert len(set(STRATEGY_NAMES)) == len(STRATEGIES) >= 5
    assert {strategy.model for strategy in STRATEGIES} == {"naive", "ridge", "lightgbm", "lstm", "tft"}
    assert strategy_named("naive").model == "naive"


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"There is no strategy 'rigde'. Did you mean ridge"):
        strategy_named("rigde")


def test_positions_follow_the_declared_rule() -> None:
    held = positions(PLAIN, forecasts(np.array([[0.01, -0.005], [0.05, 0.0]])))
    # target = p50 / half-band, clipped to -1..1, over two symbols
    np.testing.assert_allclose(matrix(held), [[0.25, -0.125], [0.5, 0.0]], atol=1e-12)


def test_targets_are_averaged_with_the_declared_half_life() -> None:
    slow = StrategySpec(
        "slow", "ridge", Sizing("band", scale=1.0, half_life_sessions=1.0), "Half of the way each session."
    )
    held = positions(slow, forecasts(np.array([[0.02], [0.0], [0.0], [0.02]])))
    np.testing.assert_allclose(matrix(held)[:, 0], [1.0, 0.5, 0.25, 0.625])


def test_naive_stays_flat_and_neither_earns_nor_pays() -> None:
    held = positions(strategy_named("naive"), forecasts(np.zeros((4, 3)), model="naive"))
    earned = net_returns(held, truth(np.full((4, 3), 0.1)))
    assert earned.height == 4
    assert earned.select("gross_return", "cost", "net_return", "turnover", "exposure").sum().row(0) == (0, 0, 0, 0, 0)


def test_buy_and_hold_earns_the_mean_return_and_pays_once() -> None:
    returns = np.array([[0.01, 0.03], [-0.02, 0.0], [0.0, 0.05]])
    held = positions(strategy_named("buy_and_hold"), forecasts(np.zeros((3, 2)), model="naive"))
    earned = net_returns(held, truth(returns))
    np.testing.assert_allclose(earned["gross_return"], returns.mean(axis=1))
    np.testing.assert_allclose(earned["cost"], [COST_BPS / 1e4, 0, 0])


def test_a_forecast_without_a_band_counts_by_its_sign() -> None:
    held = positions(PLAIN, forecasts(np.array([[0.001, 0.0, -0.001, 0.0]]), half_band=0.0))
    np.testing.assert_allclose(matrix(held), [[0.25, 0, -0.25, 0]])


def test_a_symbol_that_is_no_longer_forecast_is_sold() -> None:
    said = forecasts(np.array([[0.02, 0.02], [0.02, 0.02]]))
    held = positions(PLAIN, said.filter(~((pl.col("symbol") == "S1") & (pl.col("event_time") == days(2)[1]))))
    np.testing.assert_allclose(matrix(held), [[0.5, 0.5], [1.0, 0.0]])


def test_two_forecasts_for_one_session_are_refused() -> None:
    said = forecasts(np.array([[0.01]]))
    with pytest.raises(ConflictError, match=r"Model 'ridge' has several forecasts for .*S0"):
        positions(PLAIN, pl.concat([said, said]))


def test_a_session_waits_for_the_return_of_a_symbol_held_but_not_of_one_that_is_not() -> None:
    held = positions(PLAIN, forecasts(np.array([[0.02, 0.0], [0.02, 0.02]])))
    known = truth(np.array([[0.01, 0.01], [0.01, 0.01]])).filter(pl.col("symbol") == "S0")
    assert net_returns(held, known)["event_time"].to_list() == days(1)


numbers = st.floats(-0.05, 0.05, allow_nan=False)
worlds = st.integers(1, 4).flatmap(
    lambda symbols: st.lists(
        st.tuples(*[st.lists(numbers, min_size=symbols, max_size=symbols)] * 2), min_size=1, max_size=8
    )
)


@given(worlds, st.sampled_from([0.0, 10.0, 50.0]))
def test_cash_and_positions_are_the_equity_at_every_close(
    world: list[tuple[list[float], list[float]]], cost_bps: float
) -> None:
    medians, returns = (np.array(part) for part in zip(*world, strict=True))
    held = positions(PLAIN, forecasts(medians))
    earned = net_returns(held, truth(returns), cost_bps)
    equity, before = 1.0, np.zeros(medians.shape[1])
    for row, weights, change in zip(earned.iter_rows(named=True), matrix(held), returns, strict=True):
        values = weights * equity
        cash = equity - values.sum() - np.abs(weights - before).sum() * equity * cost_bps / 1e4
        equity *= 1 + row["net_return"]
        assert equity == pytest.approx(cash + (values * (1 + change)).sum(), abs=1e-12)
        before = weights


@given(worlds)
def test_exposure_never_exceeds_the_equity(world: list[tuple[list[float], list[float]]]) -> None:
    medians = np.array([said for said, _ in world])
    for strategy in STRATEGIES:
        held = positions(strategy, forecasts(medians, half_band=0.001, model=strategy.model))
        assert (np.abs(matrix(held)).sum(axis=1) <= 1 + 1e-12).all()


@given(worlds, st.integers(1, 7))
def test_later_forecasts_change_no_earlier_position(world: list[tuple[list[float], list[float]]], cut: int) -> None:
    medians = np.array([said for said, _ in world])
    strategy = strategy_named("ridge")
    whole, part = (matrix(positions(strategy, forecasts(said))) for said in (medians, medians[:cut]))
    np.testing.assert_array_equal(whole[:cut], part)
