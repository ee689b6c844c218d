"""Halted, delisted and newly listed symbols: their positions end or wait, and nobody waits for them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.materialize import update_labels, update_regimes, update_technical
from lake.calendars import session_closes
from lake.clock import DEMO_START, FixedClock
from lake.sources import tiny_market
from lake.spec import INSTANT
from lake.store import Lake
from lake.tables import BARS, BLEND_WEIGHTS, CALIBRATIONS, FORECASTS, OUTCOMES, STRATEGY_RETURNS
from lake.universe import MARKET
from serving.backfill import replay_forecasts
from serving.blend_weights import update_blend_weights
from serving.calibration import update_calibrations
from serving.outcomes import mature, update_strategy_returns
from serving.strategies import absences, net_returns, positions, settled_returns, strategy_named
from serving.strategies.halts import carried

CLOSES = session_closes(datetime(2011, 1, 1, tzinfo=DEMO_START.tzinfo), DEMO_START)
HOLD = strategy_named("buy_and_hold")
GONE_FOR = 40


def bars_of(closes: dict[str, list[float | None]], late: dict[tuple[str, int], int] | None = None) -> pl.DataFrame:
    """Bars by symbol and session; None is no bar. A late one is known so many sessions after its own, and an hour."""
    rows = [
        (symbol, CLOSES[at], CLOSES[at + (late or {}).get((symbol, at), 0)] + extra, close)
        for symbol, values in closes.items()
        for at, close in enumerate(values)
        for extra in [timedelta(hours=1) if (symbol, at) in (late or {}) else timedelta(0)]
        if close is not None
    ]
    schema = {"symbol": pl.String, "event_time": INSTANT, "known_time": INSTANT, "close": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def labels_of(bars: pl.DataFrame) -> pl.DataFrame:
    """One-session labels, by the calendar."""
    ends = pl.DataFrame({"event_time": CLOSES[:-1], "end": CLOSES[1:]}, schema={"event_time": INSTANT, "end": INSTANT})
    at_end = bars.select(
        "symbol", pl.col("event_time").alias("end"), pl.col("known_time").alias("known"), after="close"
    )
    joined = bars.join(ends, on="event_time").join(at_end, on=["symbol", "end"])
    known = pl.max_horizontal("known_time", "known").alias("known_time")
    return joined.select("symbol", "event_time", known, (pl.col("after") / pl.col("close") - 1).alias("forward_return"))


def forecasts_of(bars: pl.DataFrame, model: str = "naive") -> pl.DataFrame:
    """One flat forecast for each bar that was known at its close."""
    return bars.filter(pl.col("known_time") == pl.col("event_time")).select(
        "symbol",
        "event_time",
        pl.lit(1, dtype=pl.Int32).alias("horizon_sessions"),
        pl.lit(model).alias("model_name"),
        p10=-0.01,
        p50=0.0,
        p90=0.01,
    )


def earned_on(bars: pl.DataFrame, delisted_after: int = 20) -> pl.DataFrame:
    in_time = bars.filter(pl.col("known_time") == pl.col("event_time"))
    held = positions(HOLD, forecasts_of(bars), in_time, delisted_after)
    return net_returns(held, settled_returns(labels_of(bars), bars), cost_bps=0)


def test_a_halt_carries_the_position_and_books_the_loss_when_the_bar_comes() -> None:
    bars = bars_of({"A": [100, 101, 101, 101, 101], "H": [100, None, None, 40, 44]})
    earned = earned_on(bars)
    assert earned["event_time"].to_list() == CLOSES[:4]
    # half in each; H stands at 100 for two sessions, loses 60 % when it trades again, and then gains a tenth
    np.testing.assert_allclose(earned["gross_return"], [0.005, 0.0, -0.30, 0.05])
    assert earned["turnover"].to_list() == [1.0, 0.0, 0.0, 0.0], "what is halted cannot be traded"
    assert earned["known_time"].to_list()[0] == CLOSES[2], "known when the market has gone on without the bar"


def test_a_delisted_position_is_closed_at_its_last_close_after_the_declared_sessions() -> None:
    bars = bars_of({"A": [100.0] * 8, "G": [100, 90, *[None] * 6]})
    earned = earned_on(bars, delisted_after=3)
    assert earned.height == 7
    np.testing.assert_allclose(earned["gross_return"], [-0.05, 0, 0, 0, 0, 0, 0])
    # from the fourth session without a bar on, all is in A
    np.testing.assert_allclose(earned["turnover"], [1, 0, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(earned["exposure"], np.ones(7))


def test_a_newly_listed_symbol_joins_and_holds_nobody_back() -> None:
    earned = earned_on(bars_of({"A": [100, 110, 110, 110], "N": [None, None, 50, 55]}))
    np.testing.assert_allclose(earned["gross_return"], [0.1, 0.0, 0.05])


def test_a_session_still_waits_while_a_bar_may_come() -> None:
    bars = bars_of({"A": [100, 101], "H": [100, None]})
    assert earned_on(bars).is_empty()


def test_a_bar_later_than_the_markets_next_is_booked_with_the_next_in_time_whenever_one_looks() -> None:
    bars = bars_of({"A": [100.0] * 6, "L": [100, 110, 121, 121, 121, 121]}, late={("L", 1): 2})
    whole = earned_on(bars)
    np.testing.assert_allclose(whole["gross_return"], [0.0, 0.5 * 0.21, 0, 0, 0])
    for now in CLOSES[2:6]:
        then = earned_on(bars.filter(pl.col("known_time") <= now))
        assert then.equals(whole.head(then.height))


@given(
    st.lists(st.lists(st.tuples(st.floats(-1, 1), st.booleans()), min_size=3, max_size=3), min_size=1, max_size=12),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.integers(1, 4),
)
def test_carried_positions_never_exceed_the_equity(
    world: list[list[tuple[float, bool]]], step: float, after: int
) -> None:
    targets, has_bar = (np.array([[pair[part] for pair in row] for row in world]) for part in (0, 1))
    targets = np.where(has_bar, targets / np.maximum(has_bar.sum(axis=1, keepdims=True), 1), 0.0)
    held = carried(targets, has_bar.astype(bool), step, after)
    assert (np.abs(held).sum(axis=1) <= 1 + 1e-12).all()


def test_absent_symbols_are_named_with_their_last_bar() -> None:
    bars = bars_of({"A": [1.0] * 8, "G": [1.0, *[None] * 7], "H": [1.0] * 7 + [None]})
    found = absences(bars, pl.Series(["A", "G", "H"]), 3)
    gone, halted = found
    assert gone.startswith(f"G has no bar since {CLOSES[0]:%Y-%m-%d}, 7 sessions: its paper positions were closed at ")
    assert gone.endswith("that close after 3 of them, as in a delisting.")
    assert halted == (
        f"H has no bar since {CLOSES[6]:%Y-%m-%d}, 1 session: its paper positions stand at that close, as in a halt."
    )


def test_absences_of_bars_of_minutes_are_counted_in_closes() -> None:
    bars = bars_of({"A": [1.0] * 8, "H": [1.0] * 6 + [None] * 2})
    (found,) = absences(bars, pl.Series(["A", "H"]), 20, "15m")
    assert found.startswith(f"H has no bar since {CLOSES[5]:%Y-%m-%d %H:%M} UTC, 2 closes: its paper positions stand ")


@pytest.fixture(scope="module")
def delisted(
    engines, closes, made_once: Callable[..., Path], tmp_path_factory, copy_lake: Callable[[Lake, Path], Lake]
) -> Lake:
    """Six symbols over 150 replayed sessions, one without a bar in the last 40."""

    def make(folder: Path) -> None:
        lake, clock = Lake(folder), FixedClock(DEMO_START)
        bars = tiny_market(["AAA", "BBB", "CCC", "DDD", "EEE", "GONE", MARKET], sessions=420, seed=11)
        is_gone = (pl.col("symbol") == "GONE") & (pl.col("event_time") > closes[-GONE_FOR - 1])
        lake.merge(BARS, bars.filter(~is_gone))
        for update in (update_technical, update_labels, update_regimes):
            update(lake, clock)
        until = {name: type(one)(one.name, one.slope, closes[-151]) for name, one in engines.items()}
        replay_forecasts(lake, until, clock, sessions=150)

    return copy_lake(Lake(made_once("delisted", make)), tmp_path_factory.mktemp("delisted") / "tables")


def test_one_symbol_without_bars_holds_no_strategy_back(delisted: Lake, closes) -> None:
    clock = FixedClock(DEMO_START)
    report = update_strategy_returns(delisted, clock)
    settled = delisted.read(STRATEGY_RETURNS)
    by_strategy = settled.group_by("strategy").agg(
        pl.col("event_time").n_unique(), pl.col("event_time").max().alias("end")
    )
    assert set(by_strategy["event_time"]) == {149}
    assert set(by_strategy["end"]) == {closes[-2]}
    last = f"{closes[-GONE_FOR - 1]:%Y-%m-%d}"
    assert any(f"GONE has no bar since {last}, {GONE_FOR} sessions" in warning for warning in report.warnings)


def test_a_forecast_whose_horizon_ends_in_a_halt_is_said_to_be_beyond_settling(delisted: Lake, closes) -> None:
    report = mature(delisted, FixedClock(DEMO_START))
    forecasts, outcomes = delisted.read(FORECASTS), delisted.read(OUTCOMES)
    halted = forecasts.filter(pl.col("symbol") == "GONE").join(outcomes, on="forecast_id", how="anti")
    assert halted.height == 2 * (1 + 5)
    assert report.details["waiting"] == 2 * 5 * (1 + 5), "only horizons that are still open"
    first, last = closes[-GONE_FOR], closes[-GONE_FOR + 4]
    said = f"12 forecasts of GONE cannot be settled, because it has no bar at {first:%Y-%m-%d}"
    assert report.details["unsettled"] == [f"{said} and later, until {last:%Y-%m-%d}"]


def test_weights_and_calibrations_learn_to_the_end_without_it(delisted: Lake, closes) -> None:
    clock = FixedClock(DEMO_START)
    update_blend_weights(delisted, clock)
    update_calibrations(delisted, clock)
    for table in (BLEND_WEIGHTS, CALIBRATIONS):
        assert delisted.read(table)["event_time"].max() == closes[-1]
    sessions = delisted.read(BLEND_WEIGHTS).sort("event_time").tail(1)["sessions"].item().to_list()
    # a session counts by the share of its outcomes that are known: one of six is missing once
    assert sessions[0] == pytest.approx(149 - 1 / 6)
