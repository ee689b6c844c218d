"""Bars as traded, and targets from what was known at each close."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from lake.clock import DEMO_START, FixedClock
from lake.errors import ConfigError, NotReadyError, UnknownNameError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import ACTIONS, BARS, FORECASTS
from serving.backtest import targets
from serving.backtest.accounts import net_returns_of, run_account, traded_market
from serving.backtest.prepared import prepare
from serving.backtest.prices import ADJUSTED, AS_TRADED, bar_panel, read_bars
from serving.strategies import positions, strategy_named
from support.backtests import NO_COSTS, SYMBOLS, closes_of, made_bars, made_market, small_file

CLOCK = FixedClock(DEMO_START)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a small market, to read only."""
    return made_market(Lake(tmp_path_factory.mktemp("targets") / "tables"))


def held_over(lake: Lake, symbols: tuple[str, ...], sessions: int) -> np.ndarray:
    """Equity of buy and hold from the first close on, without costs, by the engine."""
    closes = lake.read(BARS)["event_time"].unique().sort()
    panel = read_bars(lake, symbols, closes[-sessions], DEMO_START)
    wanted = np.full(panel.close.shape, np.nan)
    wanted[0] = 1 / len(symbols)
    costs = small_file(costs=NO_COSTS).costs
    return run_account("strategy", traded_market(panel), wanted, costs, 1e6, "close").equity


@pytest.mark.parametrize("symbol", ["AAPL", "KO"])
def test_holding_a_real_share_earns_its_adjusted_return_dividends_included(packaged_lake: Lake, symbol: str) -> None:
    """AAPL is held as traded and pays two dividends in the year; KO has adjusted prices only."""
    sessions = 120
    equity = held_over(packaged_lake, (symbol,), sessions)
    adjusted = packaged_lake.read_as_of(BARS, DEMO_START, where=pl.col("symbol") == symbol)["close"].to_numpy()
    decided, bought = adjusted[-sessions], adjusted[-sessions + 1]  # as many shares as the capital buys at the decision
    expected = 1e6 * (1 + (adjusted[-sessions + 1 :] - bought) / decided)
    # The dividend is held as cash, and in adjusted prices it is reinvested: a few basis points apart.
    np.testing.assert_allclose(equity[1:], expected, rtol=4e-3 if symbol == "AAPL" else 1e-10)


def test_a_split_and_a_dividend_change_shares_and_cash_and_not_the_equity() -> None:
    bars = made_bars(30).filter(pl.col("symbol").is_in(["AAA", "^GSPC"])).sort("event_time")
    at = bars["event_time"].unique().sort()
    later = pl.col("event_time") >= pl.lit(at[20], BARS.schema["event_time"])
    is_own = pl.col("symbol") == "AAA"
    traded = pl.when(is_own & later).then(pl.col("close") / 2).otherwise(pl.col("close"))
    bars = bars.with_columns(traded.alias("close_traded"))
    action = {"symbol": "AAA", "event_time": at[20], "known_time": at[20], "ratio": 2.0, "kind": "split", "source": "x"}
    split = pl.DataFrame([{**dict.fromkeys(ACTIONS.names), **action}], schema=ACTIONS.schema)
    panel = bar_panel(bars, split, ("AAA",), at[5], 20)
    assert panel.basis == (AS_TRADED,)
    assert panel.split_ratio[15, 0] == 2
    wanted = np.full(panel.close.shape, np.nan)
    wanted[0] = 1.0
    path = run_account("strategy", traded_market(panel), wanted, small_file(costs=NO_COSTS).costs, 1e6, "close")
    adjusted = bars.filter(is_own)["close"].to_numpy()[5:]
    np.testing.assert_allclose(path.equity[1:], 1e6 * (1 + (adjusted[1:] - adjusted[1]) / adjusted[0]))


def test_an_action_on_a_session_without_a_bar_happens_at_the_next_bar() -> None:
    bars = made_bars(30)
    at = bars["event_time"].unique().sort()
    gone = (pl.col("symbol") == "AAA") & pl.col("event_time").is_between(at[10], at[12])
    action = {
        "symbol": "AAA",
        "event_time": at[10],
        "known_time": at[10],
        "ratio": 1.0,
        "kind": "dividend",
        "amount": 0.5,
    }
    paid = pl.DataFrame([{**dict.fromkeys(ACTIONS.names), "source": "x", **action}], schema=ACTIONS.schema)
    panel = bar_panel(bars.filter(~gone), paid, SYMBOLS, at[0], 20)
    assert np.argwhere(panel.dividend > 0).tolist() == [[13, 0]]


def test_a_symbol_whose_bars_end_counts_as_delisted_once_a_halt_would_be_over() -> None:
    bars = made_bars(60)
    at = bars["event_time"].unique().sort()
    ended = bars.filter(~((pl.col("symbol") == "BBB") & (pl.col("event_time") > at[29])))
    panel = bar_panel(ended, ACTIONS.empty(), SYMBOLS, at[0], 20)
    assert panel.delisted.tolist() == [-1, 29, -1, -1]
    assert bar_panel(ended, ACTIONS.empty(), SYMBOLS, at[0], 40).delisted.tolist() == [-1, -1, -1, -1]
    market = traded_market(panel)
    wanted = np.where(panel.has_bar, 0.25, np.nan)
    lost = run_account(
        "strategy", market, wanted, small_file(costs={**NO_COSTS, "delisting_haircut": 0.3}).costs, 1e6, "close"
    )
    kept = run_account(
        "strategy", market, wanted, small_file(costs={**NO_COSTS, "delisting_haircut": 0.0}).costs, 1e6, "close"
    )
    assert lost.costs["haircut"] == pytest.approx(0.3 * 0.25 * 1e6, rel=0.2)
    # At the delisting itself the gross equities of both are the same: the haircut is added back.
    assert lost.gross_equity[29] == pytest.approx(kept.gross_equity[29], rel=1e-9)
    assert kept.equity[29] - lost.equity[29] == pytest.approx(lost.costs["haircut"])


def test_bars_without_volume_are_refused_or_take_the_declared_one(made: Lake) -> None:
    closes = closes_of(made)
    rows = made.read(BARS).with_columns(pl.lit(None, pl.Float64()).alias("volume"))
    panel = bar_panel(rows, ACTIONS.empty(), SYMBOLS, closes[-20], 20)
    wanted, costs = np.where(panel.has_bar, 0.25, np.nan), small_file().costs
    refused = run_account("strategy", traded_market(panel), wanted, costs, 1e6, "close")
    assert refused.fills.is_empty()
    (reason,) = refused.refused
    assert "no volume" in reason
    declared = run_account("strategy", traded_market(panel, 1e8), wanted, costs, 1e6, "close")
    assert declared.fills.height >= len(SYMBOLS)


def test_targets_of_the_pool_are_its_positions(made: Lake, settings: Settings) -> None:
    test = prepare(made, settings.models, CLOCK, small_file(pool="ridge"))
    rows = made.read_as_of(FORECASTS, DEMO_START)
    quoted = made.read(BARS).filter(pl.col("symbol") != made.market.index)
    held = positions(strategy_named("ridge"), rows, quoted).pivot("symbol", index="event_time", values="position")
    expected = held.sort("event_time").select(SYMBOLS).to_numpy()[-len(test.panel.sessions) :]
    np.testing.assert_allclose(test.targets["strategy"], expected, atol=1e-12)


@pytest.mark.parametrize("file", [small_file(pool="ridge"), small_file(pool=None, members={"ridge": 2, "naive": 1})])
def test_cutting_off_the_future_changes_no_earlier_target(
    made: Lake, settings: Settings, file: object, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    whole = prepare(made, settings.models, CLOCK, file)  # type: ignore[arg-type]
    cut = FixedClock(closes_of(made)[-40])
    earlier = prepare(made, settings.models, cut, file)  # type: ignore[arg-type]
    count = len(earlier.panel.sessions)
    assert count == len(whole.panel.sessions) - 39
    for name, wanted in earlier.targets.items():
        np.testing.assert_array_equal(wanted, whole.targets[name][:count])
    own, full = earlier.run("strategy"), whole.run("strategy")
    np.testing.assert_allclose(own.equity, full.equity[:count], rtol=1e-12)


def test_between_two_rebalancings_positions_stay(made: Lake, settings: Settings) -> None:
    test = prepare(made, settings.models, CLOCK, small_file(rebalancing={"every_sessions": 5}))
    for name in ("strategy", "equal_weight"):
        due = np.isfinite(test.targets[name]).any(axis=1)
        assert due.tolist() == [place % 5 == 0 for place in range(len(due))]
        assert set(np.flatnonzero(test.run(name).traded > 0) % 5) <= {1}, "traded in the session after each decision"


def test_shuffled_forecasts_are_the_same_ones_at_other_sessions_and_symbols(made: Lake, settings: Settings) -> None:
    test = prepare(made, settings.models, CLOCK, small_file())
    twin = targets.shuffled(test.inputs, seed=1)
    own = test.inputs.forecasts
    assert twin.forecasts.height == own.height
    assert twin.forecasts["p50"].sort().to_list() == own["p50"].sort().to_list()
    moved = twin.forecasts.select(
        "forecast_id", pl.col("event_time").alias("to"), pl.col("symbol").alias("given")
    ).join(own, on="forecast_id")
    assert (moved["to"] != moved["event_time"]).all()
    apart = (moved["to"] - moved["event_time"]).abs()
    assert apart.min() >= timedelta(days=targets.LEAST_SHIFT)
    assert targets.shuffled(test.inputs, seed=1).forecasts.equals(twin.forecasts)
    assert not targets.shuffled(test.inputs, seed=2).forecasts.equals(twin.forecasts)


def test_a_planted_skill_is_ahead_of_its_shuffled_twins(made: Lake, settings: Settings) -> None:
    test = prepare(made, settings.models, CLOCK, small_file(costs=NO_COSTS))
    ratio = test.sharpe("strategy")
    assert ratio is not None
    for seed in range(5):
        wanted = targets.strategy_targets(test.file, targets.shuffled(test.inputs, seed), test.panel, 20)
        twin = test.sharpe("strategy", wanted)
        assert twin is not None
        assert twin < ratio


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        ({"horizon": "3 sessions", "members": {"ridge": 1}, "pool": None}, ConfigError, "It forecasts 1 session"),
        ({"members": {"lstm": 1}, "pool": None}, NotReadyError, "there are those of naive, ridge"),
        ({"pool": "lightgbm"}, NotReadyError, "no replayed forecasts of lightgbm over 1 session"),
        ({"universe": ["AAA", "ZZZ"]}, UnknownNameError, "ZZZ"),
        ({"folds": {"embargo_sessions": 5}, "pool": "selected"}, NotReadyError, "paper returns"),
    ],
)
def test_what_cannot_be_run_is_said(
    made: Lake, settings: Settings, values: dict, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        prepare(made, settings.models, CLOCK, small_file(**values))


def test_the_compiled_twin_has_the_net_returns_of_the_event_engine(made: Lake, settings: Settings) -> None:
    test = prepare(made, settings.models, CLOCK, small_file(capital=1e8))
    for name, wanted in test.targets.items():
        quick = net_returns_of(test.market, wanted, test.file.costs, test.file.capital, "close")
        np.testing.assert_allclose(quick, test.run(name).net, atol=1e-12)


def test_bars_with_a_close_only_are_not_traded_at_an_open(packaged_lake: Lake) -> None:
    panel = read_bars(packaged_lake, ("AAPL", "KO"), DEMO_START - timedelta(days=30), DEMO_START)
    assert panel.basis == (AS_TRADED, ADJUSTED)
    assert np.isfinite(panel.open[:, 0]).all()
    assert np.isnan(panel.open[:, 1]).all()
