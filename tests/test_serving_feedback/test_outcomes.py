"""Exactly one outcome for each forecast that has matured, none before, and the paper returns of the whole pool."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.clock import DEMO_START, FixedClock
from lake.errors import ConflictError
from lake.spec import INSTANT
from lake.store import Lake
from lake.tables import BARS, FORECASTS, LABELS, OUTCOMES, REGIMES, STRATEGY_RETURNS
from serving.backfill import replay_forecasts
from serving.outcomes import known_labels, mature, update_strategy_returns
from serving.outcomes.matured_outcomes import outcomes_of, paper_returns
from serving.strategies import STRATEGY_NAMES
from support.properties import examples


@pytest.fixture(scope="module")
def lived(made_market: Lake, engines, closes, tmp_path_factory, copy_lake: Callable[[Lake, Path], Lake]) -> Lake:
    """Return the market after 20 replayed sessions, without outcomes; to read only."""
    lake = copy_lake(made_market, tmp_path_factory.mktemp("lived") / "tables")
    replay_forecasts(lake, engines, FixedClock(DEMO_START), sessions=20)
    return lake


@pytest.fixture
def lake(lived: Lake, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]) -> Lake:
    return copy_lake(lived, tmp_path / "lived" / "tables")


def early(outcomes: pl.DataFrame, forecasts: pl.DataFrame, closes: list[datetime], now: datetime) -> pl.DataFrame:
    """Outcomes of forecasts whose horizon, counted in sessions of the calendar, had not ended by now."""
    position = pl.col("event_time").replace_strict(closes, list(range(len(closes))), return_dtype=pl.Int32)
    ends = forecasts.select("forecast_id", (position + pl.col("horizon_sessions")).alias("end"))
    last = max(index for index, close in enumerate(closes) if close <= now)
    return outcomes.join(ends, on="forecast_id").filter(pl.col("end") > last)


def due(forecasts: pl.DataFrame, closes: list[datetime], now: datetime) -> int:
    last = max(index for index, close in enumerate(closes) if close <= now)
    position = pl.col("event_time").replace_strict(closes, list(range(len(closes))), return_dtype=pl.Int32)
    return forecasts.filter(position + pl.col("horizon_sessions") <= last).height


@examples(4)
@given(st.sets(st.integers(-20, -1), min_size=1, max_size=3))
def test_each_matured_forecast_has_one_outcome_and_none_is_early(
    lived: Lake, closes, tmp_path_factory, copy_lake, stops: set[int]
) -> None:
    lake = copy_lake(lived, tmp_path_factory.mktemp("stops") / "tables")
    forecasts = lake.read(FORECASTS)
    for stop in sorted(stops):
        now = closes[stop]
        mature(lake, FixedClock(now))
        outcomes = lake.read(OUTCOMES)
        assert outcomes["forecast_id"].is_unique().all()
        assert outcomes.height == due(forecasts, closes, now)
        assert early(outcomes, forecasts, closes, now).is_empty()
        assert (outcomes["known_time"] <= now).all()


def test_without_the_filter_on_what_is_known_the_check_finds_early_outcomes(lived: Lake, closes) -> None:
    now = closes[-6]
    forecasts = lived.read_as_of(FORECASTS, now)
    unguarded = outcomes_of(forecasts, lived.read(LABELS))
    assert early(unguarded, forecasts, closes, now).height > 0
    guarded = outcomes_of(forecasts, known_labels(lived, FixedClock(now)))
    assert early(guarded, forecasts, closes, now).is_empty()


def test_maturing_again_does_nothing_and_says_why(lake: Lake) -> None:
    first = mature(lake, FixedClock(DEMO_START))
    second = mature(lake, FixedClock(DEMO_START))
    assert first.added == first.rows > 0
    assert (second.skipped, second.version) == (True, first.version)
    assert second.details == {"waiting": 2 * 4 * (1 + 5), "reason": "no further forecast has matured"}


def test_a_served_forecast_is_judged_like_a_replayed_one(lake: Lake, closes) -> None:
    row = lake.read(FORECASTS).filter(symbol="AAA", event_time=closes[-3], horizon_sessions=1, model_name="naive")
    served = row.with_columns(pl.lit("served-1").alias("forecast_id"), pl.lit("served").alias("kind"))
    lake.merge(FORECASTS, served)
    mature(lake, FixedClock(DEMO_START))
    both = lake.read(OUTCOMES).filter(pl.col("forecast_id").is_in(["served-1", row["forecast_id"].item()]))
    assert both.height == 2
    assert both["realised_return"].n_unique() == 1


def test_an_outcome_is_worked_out_as_by_hand() -> None:
    at, end = datetime.fromisoformat("2012-12-28T21:00Z"), datetime.fromisoformat("2012-12-31T21:00Z")
    said = pl.DataFrame(
        {
            "forecast_id": ["up", "flat", "wrong"],
            "symbol": ["A", "A", "B"],
            "event_time": [at] * 3,
            "horizon_sessions": [1] * 3,
            "p10": [-0.01, -0.02, -0.01],
            "p50": [0.01, 0.0, 0.02],
            "p90": [0.02, 0.02, 0.03],
        },
        schema_overrides={"event_time": INSTANT, "horizon_sessions": pl.Int32},
    )
    labels = pl.DataFrame(
        {
            "symbol": ["A", "B"],
            "event_time": [at] * 2,
            "known_time": [end] * 2,
            "horizon_sessions": [1] * 2,
            "forward_return": [0.03, -0.02],
        },
        schema=LABELS.schema,
    )
    rows = {row["forecast_id"]: row for row in outcomes_of(said, labels).iter_rows(named=True)}
    assert rows["up"]["error"] == pytest.approx(-0.02)
    # 0.1 x 0.04, 0.5 x 0.02, 0.9 x 0.01, over three
    assert rows["up"]["pinball_loss"] == pytest.approx((0.004 + 0.01 + 0.009) / 3)
    assert (rows["up"]["is_covered"], rows["up"]["is_direction_hit"]) == (False, True)
    assert rows["flat"]["is_direction_hit"] is None
    # 0.9 x 0.01, 0.5 x 0.04, 0.1 x 0.05, over three
    assert rows["wrong"]["pinball_loss"] == pytest.approx((0.009 + 0.02 + 0.005) / 3)
    assert rows["wrong"]["is_direction_hit"] is False
    assert rows["wrong"]["event_time"] == end


def test_a_label_restated_later_changes_no_outcome(lake: Lake, closes) -> None:
    forecasts = lake.read(FORECASTS).filter(event_time=closes[-10], symbol="AAA", horizon_sessions=1)
    row = lake.read(LABELS).filter(event_time=closes[-10], symbol="AAA", horizon_sessions=1)
    restated = row.with_columns(
        pl.col("forward_return") + 1, pl.lit(closes[-2]).cast(row.schema["known_time"]).alias("known_time")
    )
    lake.merge(LABELS, restated)
    mature(lake, FixedClock(DEMO_START))
    outcomes = lake.read(OUTCOMES).filter(pl.col("forecast_id").is_in(forecasts["forecast_id"].implode()))
    assert outcomes["realised_return"].to_list() == pytest.approx([row["forward_return"].item()] * 2)
    assert outcomes["known_time"].to_list() == [closes[-9]] * 2


def test_day_by_day_gives_the_outcomes_and_returns_of_one_jump(
    lived: Lake, closes, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]
) -> None:
    jump, daily = (copy_lake(lived, tmp_path / name / "tables") for name in ("jump", "daily"))
    for lake, moments in ((jump, closes[-1:]), (daily, closes[-15:])):
        for close in moments:
            mature(lake, FixedClock(close))
            update_strategy_returns(lake, FixedClock(close))
    for spec in (OUTCOMES, STRATEGY_RETURNS):
        left, right = jump.read(spec).sort(spec.key), daily.read(spec).sort(spec.key)
        assert left.height > 0
        assert left.select(spec.key).equals(right.select(spec.key))
        numbers = [name for name, kind in spec.schema.items() if kind.is_float()]
        assert (left.select(numbers) - right.select(numbers)).to_numpy() == pytest.approx(0, abs=1e-9)


def test_the_pool_is_run_on_paper_and_idle_strategies_are_named(lake: Lake, closes) -> None:
    report = update_strategy_returns(lake, FixedClock(DEMO_START))
    rows = lake.read(STRATEGY_RETURNS)
    assert set(rows["strategy"].unique()) == {"naive", "buy_and_hold", "ridge"} < set(STRATEGY_NAMES)
    assert rows["event_time"].max() == closes[-2], "the last session has not earned anything yet"
    assert rows.filter(strategy="naive")["net_return"].to_list() == [0.0] * 19
    assert rows.filter(strategy="ridge")["turnover"].min() > 0
    assert "lightgbm, lstm, tft" in report.warnings[0]
    again = update_strategy_returns(lake, FixedClock(DEMO_START))
    assert (again.skipped, again.details["reason"]) == (True, "no further session has settled")


def test_labels_of_a_longer_horizon_are_no_paper_returns(lake: Lake) -> None:
    tables = [lake.read(table) for table in (FORECASTS, LABELS, REGIMES, BARS)]
    message = r"cannot be made from labels of \[5\] sessions.*such returns overlap. Expected labels of 1 session only"
    with pytest.raises(ConflictError, match=message):
        paper_returns(*tables)
