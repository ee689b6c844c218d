"""The replay says what would have been said: once, from what was known, and by no model that had seen the answer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets import FORECAST_V2, HORIZONS, build_windows, to_model_input, window_hash
from lake.clock import DEMO_START, FixedClock
from lake.errors import LookAheadError
from lake.store import Lake
from lake.tables import BARS, FORECASTS, REGIMES
from serving.backfill import forecast_id, replay_forecasts
from serving.forecasts import Member

NOW = FixedClock(DEMO_START)
KEY = ["symbol", "event_time", "horizon_sessions", "model_name"]
SAID = ["p10", "p50", "p90", "reference_price"]


def replayed(lake: Lake) -> pl.DataFrame:
    return lake.read(FORECASTS).sort(KEY)


def test_every_model_speaks_once_for_each_symbol_session_and_horizon(market: Lake, engines, closes) -> None:
    report = replay_forecasts(market, engines, NOW, sessions=12)
    rows = replayed(market)
    assert report.added == rows.height == 2 * 4 * 12 * 2
    assert report.details["replayed"] == {"naive": 96, "ridge": 96}
    assert rows.select(KEY).is_duplicated().sum() == 0
    assert rows["event_time"].unique().sort().to_list() == closes[-12:]
    assert (rows["known_time"] == rows["event_time"]).all()


def test_a_forecast_is_the_engines_answer_to_the_window_of_its_session(market: Lake, engines, closes) -> None:
    replay_forecasts(market, engines, NOW, sessions=3)
    at = closes[-2]
    row = (
        replayed(market).filter(symbol="BBB", event_time=at, horizon_sessions=5, model_name="ridge").row(0, named=True)
    )
    windows = build_windows(market.read_as_of(FEATURES_TECHNICAL, at).filter(symbol="BBB"), FORECAST_V2, at=[at])
    answer = engines["ridge"].predict(to_model_input(windows.values))[0, HORIZONS.index(5)]
    assert [row["p10"], row["p50"], row["p90"]] == pytest.approx(answer.tolist(), abs=1e-9)
    assert row["feature_hash"] == window_hash(windows.values[0])
    bar = market.read(BARS).filter(symbol="BBB", event_time=at).row(0, named=True)
    assert row["reference_price"] == bar["close_traded"]
    assert row["regime"] == market.read(REGIMES).filter(event_time=at)["regime"].item()
    assert row["forecast_id"] == forecast_id("BBB", at, 5, Member("ridge", "1", engines["ridge"].digest, 1.0))
    assert (row["kind"], row["model_version"], row["strategy"]) == ("replay", "1", None)


def test_a_second_replay_does_nothing_and_says_why(market: Lake, engines) -> None:
    first = replay_forecasts(market, engines, NOW, sessions=4)
    asked = len(engines["naive"].asked)
    second = replay_forecasts(market, engines, NOW, sessions=4)
    assert (second.skipped, second.added, second.version) == (True, 0, first.version)
    assert second.details["reason"] == "every model has replayed every session"
    assert len(engines["naive"].asked) == asked, "the engine was asked again"


def test_day_by_day_says_what_one_jump_says(
    made_market: Lake, engines, closes, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]
) -> None:
    jump, daily = (copy_lake(made_market, tmp_path / name / "tables") for name in ("jump", "daily"))
    for lake in (jump, daily):
        replay_forecasts(lake, engines, FixedClock(closes[-9]), sessions=5)
    replay_forecasts(jump, engines, NOW, sessions=5)
    for close in closes[-8:]:
        replay_forecasts(daily, engines, FixedClock(close), sessions=5)
    left, right = replayed(jump), replayed(daily)
    assert left.select("forecast_id").equals(right.select("forecast_id"))
    assert left["event_time"].n_unique() == 13
    np.testing.assert_allclose(left.select(SAID).to_numpy(), right.select(SAID).to_numpy(), rtol=0, atol=1e-6)


def test_a_restatement_is_not_used_before_it_was_known(market: Lake, engines, closes) -> None:
    session, later = closes[-4], closes[-2]
    rows = market.read(FEATURES_TECHNICAL).filter(symbol="AAA", event_time=closes[-5])
    restated = rows.with_columns(
        (pl.col("return_1d") + 1).alias("return_1d"), pl.lit(later).cast(rows.schema["known_time"]).alias("known_time")
    )
    untouched = replay(market, engines, session)
    market.merge(FEATURES_TECHNICAL, restated)
    replay_forecasts(market, engines, NOW, sessions=4)
    said = replayed(market).filter(symbol="AAA", model_name="ridge", horizon_sessions=1)
    assert said.filter(event_time=session)["p50"].item() == pytest.approx(untouched, abs=1e-9)
    # The same step without the guard, on every row known today, is wrong by the restatement: the check can fail.
    unguarded = market.read_as_of(FEATURES_TECHNICAL, DEMO_START).filter(symbol="AAA")
    windows = build_windows(unguarded, FORECAST_V2, at=[session])
    leaked = engines["ridge"].predict(to_model_input(windows.values))[0, 0, 1]
    assert leaked - untouched == pytest.approx(0.5 / 5, rel=1e-4)
    # From the close at which it was known on, it is used.
    assert said.filter(event_time=later)["p50"].item() == pytest.approx(replay(market, engines, later), abs=1e-9)


@pytest.mark.parametrize(
    ("table", "column", "other"), [(BARS, "close_traded", 1_000.0), (REGIMES, "regime", "restated")]
)
def test_a_bar_or_regime_restated_later_is_no_reference_of_an_earlier_session(
    market: Lake, engines, closes, table, column, other
) -> None:
    session, later = closes[-4], closes[-2]
    where = (pl.col("event_time") == session) & (pl.col("symbol") == "AAA" if table is BARS else pl.lit(value=True))
    before = market.read(table, where=where)
    restated = {column: pl.lit(other), "known_time": pl.lit(later).cast(before.schema["known_time"])}
    market.merge(table, before.with_columns(**restated))
    assert market.read_as_of(table, later, where=where)[column].to_list() == [other]
    replay_forecasts(market, {"ridge": engines["ridge"]}, NOW, sessions=6)
    said = replayed(market).filter(symbol="AAA", event_time=session)
    name = "reference_price" if table is BARS else column
    assert said[name].to_list() == before[column].to_list() * len(HORIZONS), "a later correction was used"


def replay(lake: Lake, engines, at: datetime) -> float:
    """Median for AAA at a close, from the table as of that close."""
    windows = build_windows(lake.read_as_of(FEATURES_TECHNICAL, at).filter(symbol="AAA"), FORECAST_V2, at=[at])
    return float(engines["ridge"].predict(to_model_input(windows.values))[0, 0, 1])


def test_a_model_forecasts_nothing_that_it_knows(market: Lake, engines, closes) -> None:
    late = replace(engines["ridge"], train_until=closes[-10])
    replay_forecasts(market, {"ridge": late}, NOW, sessions=20)
    assert replayed(market)["event_time"].min() == closes[-9]


def test_a_model_that_knows_every_answer_is_refused(market: Lake, engines, closes) -> None:
    late = replace(engines["ridge"], train_until=closes[-1])
    with pytest.raises(LookAheadError, match=f"Model 'ridge' knows the market up to {closes[-1].date()}.*train_until"):
        replay_forecasts(market, {"ridge": late}, NOW, sessions=10)
    assert not market.exists(FORECASTS)


def test_a_new_model_catches_up_and_the_others_are_left_alone(market: Lake, engines) -> None:
    replay_forecasts(market, {"naive": engines["naive"]}, NOW, sessions=6)
    report = replay_forecasts(market, engines, NOW, sessions=6)
    assert report.details["replayed"] == {"ridge": 6 * 4 * 2}


def test_a_retrained_model_goes_on_where_the_old_one_stopped(market: Lake, engines, closes) -> None:
    before = closes[-4]
    replay_forecasts(market, {"ridge": engines["ridge"]}, FixedClock(before), sessions=5)
    retrained = replace(engines["ridge"], version="2", train_until=before)
    replay_forecasts(market, {"ridge": retrained}, NOW, sessions=5)
    spoken = replayed(market).group_by("event_time").agg(pl.col("model_version").unique().sort()).sort("event_time")
    assert spoken["model_version"].to_list() == [["1"]] * 5 + [["2"]] * 3


def test_a_young_symbol_without_a_window_is_left_out(market: Lake, engines, closes) -> None:
    old = market.read(FEATURES_TECHNICAL)
    young = old.filter(pl.col("symbol") == "AAA", pl.col("event_time") > closes[-1] - timedelta(days=30))
    market.merge(FEATURES_TECHNICAL, young.with_columns(pl.lit("NEW").alias("symbol")))
    replay_forecasts(market, engines, NOW, sessions=2)
    assert "NEW" not in replayed(market)["symbol"]
