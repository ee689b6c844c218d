"""Versions on trial forecast every session on their own, and nothing but their verdict knows of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from lake.clock import DEMO_START, FixedClock
from lake.errors import EngineError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import (
    BLEND_WEIGHTS,
    CALIBRATIONS,
    FORECASTS,
    OUTCOMES,
    PERFORMANCE,
    RECEIPTS,
    STRATEGY_RETURNS,
)
from serving.backfill import forecast_trials, replay_forecasts
from serving.blend_weights import update_blend_weights
from serving.calibration import update_calibrations
from serving.deployment import LoadedChallenger
from serving.deployment.candidates import LoadedModel
from serving.deployment.record import Challenger
from serving.outcomes import mature, update_figures, update_performance, update_strategy_returns
from serving.outcomes.quality_file import read_figures

BEFORE = datetime(2013, 1, 1, tzinfo=UTC)
SAID = ["symbol", "event_time", "horizon_sessions", "p10", "p50", "p90", "reference_price", "regime", "feature_hash"]


class BrokenEngine:
    """An engine whose every forecast fails; the rest is the real one's."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def predict(self, _: object) -> object:
        raise EngineError("The engine gave no number.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def on_trial(engines) -> Callable[..., LoadedChallenger]:
    """Put a version of ridge on trial: ``on_trial(version="2", slope=0.5, since=BEFORE)``."""

    def put(version: str = "2", slope: float = -3.0, since: datetime = BEFORE, **changes: Any) -> LoadedChallenger:
        engine = replace(engines["ridge"], version=version, slope=slope, **changes)
        trial = Challenger(model="ridge", version=version, digest=engine.digest, mode="shadow", share=0.01, since=since)
        return LoadedChallenger(trial, LoadedModel(None, engine))  # type: ignore[arg-type]  # no file behind a rule

    return put


def sessions_of(lake: Lake, version: str = "2") -> list[datetime]:
    rows = lake.read(FORECASTS).filter(kind="trial", model_version=version)
    return rows["event_time"].unique().sort().to_list()


def test_a_trial_begins_with_the_newest_session_and_leaves_none_out(market: Lake, on_trial, closes) -> None:
    challenger = on_trial()
    first = forecast_trials(market, [challenger], FixedClock(closes[-6]))
    assert (first.added, first.details["trials"]) == (4 * 2, {"ridge 2": 8}), "every symbol, whatever the share"
    assert sessions_of(market) == [closes[-6]]
    assert forecast_trials(market, [challenger], FixedClock(closes[-1])).added == 5 * 4 * 2
    assert sessions_of(market) == closes[-6:]
    again = forecast_trials(market, [challenger], FixedClock(closes[-1]))
    assert (again.skipped, again.added, again.details["trials"]) == (True, 0, {})


def test_what_is_forecast_is_what_the_same_file_replays_as_champion(market: Lake, on_trial, engines, closes) -> None:
    challenger, clock = on_trial(slope=engines["ridge"].slope), FixedClock(closes[-1])
    replay_forecasts(market, engines, clock, sessions=1)
    forecast_trials(market, [challenger], clock)
    stored = market.read(FORECASTS).filter(model_name="ridge").sort("symbol", "horizon_sessions")
    trial, replayed = (stored.filter(kind=kind) for kind in ("trial", "replay"))
    assert_frame_equal(trial.select(SAID), replayed.select(SAID))
    assert set(trial["model_version"]) == {"2"}
    assert not set(trial["forecast_id"]) & set(replayed["forecast_id"])
    assert market.read(RECEIPTS)["forecast_id"].n_unique() == 3, "one for each model and one for the trial"


def test_a_session_that_the_version_was_trained_on_is_left_out(market: Lake, on_trial, closes) -> None:
    challenger = on_trial(train_until=closes[-3])
    assert forecast_trials(market, [challenger], FixedClock(closes[-3])).added == 0
    assert not market.exists(FORECASTS)
    forecast_trials(market, [challenger], FixedClock(closes[-2]))
    assert sessions_of(market) == [closes[-2]]


def test_a_second_trial_of_a_version_does_not_go_back_to_the_first(market: Lake, on_trial, closes) -> None:
    forecast_trials(market, [on_trial()], FixedClock(closes[-8]))
    later = market.read(FORECASTS)["made_at"].max() + timedelta(microseconds=1)
    assert forecast_trials(market, [on_trial(since=later)], FixedClock(closes[-8])).added == 0, "forecast already"
    for close in (closes[-4], closes[-2]):
        forecast_trials(market, [on_trial(since=later)], FixedClock(close))
    assert sessions_of(market) == [closes[-8], *closes[-4:-1]]


def test_a_file_registered_twice_has_a_trial_under_each_version(market: Lake, on_trial, engines, closes) -> None:
    """The identity of a trial's forecast holds the version: the rows of two trials are not the same fact."""

    class SameFile(type(engines["ridge"])):
        digest = "d" * 64

    for version in ("2", "3"):
        engine = SameFile("ridge", 1.0, engines["ridge"].train_until, version)
        trial = on_trial(version).trial.model_copy(update={"digest": engine.digest})
        challenger = LoadedChallenger(trial, LoadedModel(None, engine))  # type: ignore[arg-type]  # as above
        assert forecast_trials(market, [challenger], FixedClock(closes[-1])).added == 8


def test_a_version_whose_engine_fails_is_named_and_keeps_no_other_from_its_work(
    market: Lake, on_trial, engines, closes
) -> None:
    ill, well = on_trial("2"), on_trial("3")
    broken = LoadedChallenger(ill.trial, LoadedModel(None, BrokenEngine(ill.loaded.engine)))  # type: ignore[arg-type]  # as above
    report = forecast_trials(market, [broken, well], FixedClock(closes[-1]))
    assert report.details["trials"] == {"ridge 3": 8}
    (warning,) = report.warnings
    assert "Version 2 of 'ridge', which is on trial, has not forecast: The engine gave no number." in warning
    assert "quantlake models rollback ridge" in warning
    assert forecast_trials(market, [ill], FixedClock(closes[-1])).added == 8, "the next update tries again"


def test_trials_have_outcomes_and_change_nothing_else_that_is_learned(
    made_market: Lake, engines, on_trial, closes, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]
) -> None:
    learned = []
    for name in ("without", "with"):
        lake, configured = copy_lake(made_market, tmp_path / name / "tables"), Settings(home=tmp_path / name)
        clock = FixedClock(DEMO_START)
        if name == "with":
            forecast_trials(lake, [on_trial()], FixedClock(closes[-25]))
            assert forecast_trials(lake, [on_trial()], clock).added == 24 * 8
        replay_forecasts(lake, engines, clock, sessions=25)
        mature(lake, clock)
        update_strategy_returns(lake, clock)
        update_performance(lake, clock)
        update_blend_weights(lake, clock)
        update_calibrations(lake, clock)
        update_figures(lake, configured, clock)
        tables = (STRATEGY_RETURNS, PERFORMANCE, BLEND_WEIGHTS, CALIBRATIONS)
        learned.append([*(lake.read(spec).sort(spec.key) for spec in tables), read_figures(configured)])
    rows = lake.read(FORECASTS).join(lake.read(OUTCOMES).select("forecast_id", "pinball_loss"), on="forecast_id")
    assert rows.filter(kind="trial", horizon_sessions=1)["event_time"].n_unique() == 24
    *tables, figures = zip(*learned, strict=True)
    for without, of_trial in tables:
        assert_frame_equal(without, of_trial, check_exact=False)
    assert figures[0] == figures[1]
    assert figures[0].models
