"""The selected strategies: weights known at each close, at equal volatility, and the daily back-test of them."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from lake.clock import DEMO_START, FixedClock
from lake.settings import Settings
from lake.store import Lake
from lake.tables import BACKTESTS, REGIMES, SELECTIONS, STRATEGY_RETURNS, TRIAL_LEDGER
from serving.backtest import latest_backtest, update_backtests
from serving.backtest.targets import read_inputs, weights_in_force
from support.backtests import closes_of, made_market, small_file

CLOCK = FixedClock(DEMO_START)
POOL = ("naive", "buy_and_hold", "ridge")
CALM, STORM = "low_volatility_uptrend", "high_volatility_downtrend"


@pytest.fixture
def market(lake: Lake) -> Lake:
    """Return a market with a calm and a stormy half, paper returns, and one decision about the calm one."""
    made_market(lake)
    closes = closes_of(lake)
    rng = np.random.default_rng(0)
    regimes, paper = [], []
    for place, at in enumerate(closes):
        regime = STORM if place % 2 else CALM
        stamps = {"event_time": at, "known_time": at, "regime": regime}
        regimes.append({**dict.fromkeys(REGIMES.names), **stamps, "market": lake.market.index} | filled(REGIMES))
        for name in POOL if place < len(closes) - 1 else ():
            net = 0.0 if name == "naive" else float(rng.normal(0, 0.01 if name == "ridge" else 0.02))
            figures = {"gross_return": net, "cost": 0.0, "net_return": net, "turnover": 0.0}
            exposure = 0.0 if name == "naive" else 0.5
            paper.append({"strategy": name, "exposure": exposure, **stamps, **figures})
    lake.merge(REGIMES, pl.DataFrame(regimes, schema=REGIMES.schema))
    lake.merge(STRATEGY_RETURNS, pl.DataFrame(paper, schema=STRATEGY_RETURNS.schema))
    lake.merge(SELECTIONS, decision(closes[100], closes[101], [0.1, 0.2, 0.7]))
    return lake


def filled(spec: object) -> dict[str, object]:
    """Return a value for every further column that may not be null."""
    values = {pl.String(): "", pl.Float64(): 0.5, pl.Boolean(): False, pl.Int64(): 0}
    taken = {"market", "event_time", "known_time", "regime"}
    return {column.name: values[column.dtype] for column in spec.columns if column.name not in taken}  # type: ignore[attr-defined]


def decision(at: datetime, known: datetime, weights: list[float]) -> pl.DataFrame:
    row = {
        "regime": CALM, "event_time": at, "known_time": known, "selected_strategy": "ridge", "strategies": list(POOL),
        "weights": weights, "probabilities": weights, "confidence": 0.9, "e_value": 30.0, "sessions": 50, "reason": "r",
    }  # fmt: skip
    return pl.DataFrame([row], schema=SELECTIONS.schema)


def weights_at(market: Lake) -> tuple[list[datetime], np.ndarray]:
    closes = closes_of(market)
    found = weights_in_force(market, CLOCK, pl.Series("event_time", closes, dtype=REGIMES.schema["event_time"]))
    table = found.pivot("strategy", index="event_time", values="weight").sort("event_time")
    return closes, table.select(POOL).to_numpy()


def test_a_decision_counts_from_when_it_was_known_and_in_its_regime_only(market: Lake) -> None:
    closes, weights = weights_at(market)
    shares = weights[:, [0]]  # naive holds nothing, so its scale is one and its weight as it was decided
    known = closes.index(closes[101])
    is_calm = np.arange(len(closes)) % 2 == 0
    is_decided = is_calm & (np.arange(len(closes)) >= known)
    np.testing.assert_allclose(shares[is_decided], 0.1)
    np.testing.assert_allclose(shares[~is_decided], 1 / 3)


def test_strategies_are_held_at_equal_volatility(market: Lake) -> None:
    _, weights = weights_at(market)
    ratio = weights[60:100, 2] / weights[60:100, 1]  # equally decided, and ridge is half as volatile
    assert 1.3 < np.median(ratio) < 3.0


def test_what_came_later_changes_no_weight(market: Lake) -> None:
    closes, whole = weights_at(market)
    cut = FixedClock(closes[110])
    early = weights_in_force(market, cut, pl.Series("event_time", closes[:110], dtype=REGIMES.schema["event_time"]))
    table = early.pivot("strategy", index="event_time", values="weight").sort("event_time")
    np.testing.assert_allclose(table.select(POOL).to_numpy(), whole[:110])


def test_the_selected_strategies_are_those_with_forecasts(market: Lake) -> None:
    inputs = read_inputs(market, CLOCK, small_file(pool="selected"))
    assert [strategy.name for strategy in inputs.pool] == list(POOL)


def test_the_daily_back_test_runs_once_for_what_is_there(market: Lake, settings: Settings) -> None:
    report = update_backtests(market, settings, CLOCK)
    assert report.added == 1
    assert not report.skipped
    assert {"net_return", "equal_weight_net_return", "naive_net_return", "dsr", "trials"} <= set(report.details)
    assert (settings.reports / "backtest.png").is_file()
    found = latest_backtest(market, DEMO_START, "selected")
    assert found is not None
    assert found.row["held"] == "the selected strategies of the pool"
    before = market.version(TRIAL_LEDGER)
    again = update_backtests(market, settings, CLOCK)
    assert again.skipped
    assert again.details["reason"]
    assert market.version(TRIAL_LEDGER) == before
    market.merge(SELECTIONS, decision(closes_of(market)[120], closes_of(market)[120], [0.8, 0.1, 0.1]))
    assert update_backtests(market, settings, CLOCK).added == 1, "a further decision changes what was held"
    assert market.read(BACKTESTS).height == 2
    assert DEMO_START - timedelta(days=400) < report.last < DEMO_START + timedelta(days=1)


def test_a_young_market_is_skipped_with_the_reason(lake: Lake, settings: Settings) -> None:
    report = update_backtests(lake, settings, CLOCK)
    assert (report.skipped, report.added, report.version) == (True, 0, None)
    assert "no replayed forecasts" in report.details["reason"]
    made_market(lake)
    assert "paper returns yet" in str(update_backtests(lake, settings, CLOCK).details["reason"])
    assert not lake.exists(BACKTESTS)
