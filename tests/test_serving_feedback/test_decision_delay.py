"""A source that is honest about when it knew: decided after the close, it gives what one known at the close gives."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.materialize import update_labels, update_regimes, update_technical, update_windows
from feature_repo.retrieval import training_frame
from lake.clock import DEMO_START, FixedClock
from lake.errors import ConfigError
from lake.market import Market
from lake.settings import Settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import (
    BARS,
    BLEND_WEIGHTS,
    CALIBRATIONS,
    FORECASTS,
    OUTCOMES,
    SELECTIONS,
    STRATEGY_ASSIGNMENTS,
    STRATEGY_RETURNS,
)
from lake.universe import MARKET
from serving.backfill import replay_forecasts, score_newest
from serving.blend_weights import update_blend_weights
from serving.calibration import update_calibrations
from serving.outcomes import mature, update_strategy_returns
from serving.strategies import update_assignments, update_selections

SYMBOLS = ("AAA", "BBB", "CCC", MARKET)
LATE = timedelta(minutes=5)
DECIDED = FixedClock(DEMO_START + LATE)
SESSIONS = 25


@pytest.fixture(scope="module")
def made(made_once: Callable[..., Path]) -> Path:
    """Two homes with the same bars: known at the close in one, five minutes later in the other."""

    def make(folder: Path) -> None:
        bars = tiny_market(SYMBOLS, sessions=330, seed=21)
        for name, late in (("prompt", timedelta(0)), ("honest", LATE)):
            lake = Lake(folder / name / "tables")
            lake.merge(BARS, bars.with_columns(pl.col("known_time") + late))
            for update in (update_technical, update_labels, update_regimes):
                update(lake, FixedClock(DEMO_START + late))

    return made_once("decision_delay", make)


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Callable[[str, int], Lake]:
    def opened(name: str, delay: int) -> Lake:
        shutil.copytree(made / name, tmp_path / f"{name}-{delay}")
        Market("desk", first_year=2011, decision_delay=delay).write(tmp_path / f"{name}-{delay}")
        return Lake(tmp_path / f"{name}-{delay}" / "tables")

    return opened


def live(lake: Lake, engines, settings: Settings, clock: FixedClock) -> None:
    replay_forecasts(lake, engines, clock, sessions=SESSIONS)
    mature(lake, clock)
    update_strategy_returns(lake, clock)
    update_selections(lake, settings, clock)
    update_assignments(lake, clock)
    update_blend_weights(lake, clock)
    update_calibrations(lake, clock)


def test_what_could_not_be_forecast_is_not_said_to_be_done(home, engines, closes) -> None:
    report = replay_forecasts(home("honest", 0), engines, DECIDED, sessions=SESSIONS)
    reason = report.details["reason"]
    assert "every model has replayed" not in reason
    assert reason.startswith(f"no model could forecast the {SESSIONS} sessions from {closes[-SESSIONS]:%Y-%m-%d} to ")
    assert "known after 5 minutes at the earliest" in reason
    assert "set decision_delay in market.yaml" in reason
    assert report.warnings == (f"N{reason[1:]}.",)


def test_other_reasons_are_named_too(home, engines) -> None:
    lake = home("prompt", 0)
    lake.rebuild(FEATURES_TECHNICAL, [lake.read(FEATURES_TECHNICAL).filter(pl.col("symbol") == "none")])
    report = replay_forecasts(lake, engines, DECIDED, sessions=3)
    assert report.details["reason"].endswith(
        "no symbol has a complete window of inputs that were known by their decision time"
    )


def test_decided_after_the_close_everything_is_as_of_a_source_known_at_the_close(
    home, engines, closes, tmp_path: Path
) -> None:
    prompt, honest = home("prompt", 0), home("honest", 5)
    live(prompt, engines, Settings(home=prompt.root.parent), FixedClock(DEMO_START))
    live(honest, engines, Settings(home=honest.root.parent), DECIDED)
    tables = (FORECASTS, OUTCOMES, STRATEGY_RETURNS, SELECTIONS, STRATEGY_ASSIGNMENTS, BLEND_WEIGHTS, CALIBRATIONS)
    for spec in tables:
        left, right = (lake.read(spec).sort(spec.key) for lake in (prompt, honest))
        assert left.height == right.height > 0, spec.name
        late = right["known_time"] - left["known_time"]
        assert late.unique().to_list() == [LATE], spec.name
        same = [name for name in spec.names if name not in ("known_time", "made_at", "feature_table_versions")]
        if spec is OUTCOMES:  # stamped when the label was known
            same.remove("event_time")
        assert left.select(same).equals(right.select(same)), spec.name


def test_the_newest_session_is_scored_from_stored_inputs_once_it_is_decided(home, engines, closes) -> None:
    lake = home("honest", 5)
    update_windows(lake, DECIDED)
    replay_forecasts(lake, engines, FixedClock(closes[-2] + LATE), sessions=4)
    early = score_newest(lake, engines, FixedClock(DEMO_START + LATE - timedelta(seconds=1)), sessions=4)
    assert early.skipped, "nothing is decided before its time"
    report = score_newest(lake, engines, DECIDED, sessions=4)
    assert report.details["scored"] == {"naive": 6, "ridge": 6}
    scored = lake.read(FORECASTS).filter(event_time=closes[-1])
    other = home("honest", 5 + 1)
    replay_forecasts(other, engines, FixedClock(DEMO_START + timedelta(minutes=6)), sessions=1)
    walked = other.read(FORECASTS)
    said = ["forecast_id", "p10", "p50", "p90", "reference_price", "regime", "feature_hash"]
    assert scored.select(said).sort("forecast_id").equals(walked.select(said).sort("forecast_id"))


@pytest.mark.parametrize("table", [BARS, FEATURES_TECHNICAL])
def test_what_was_known_after_the_decision_is_not_used(home, engines, closes, table) -> None:
    lake, untouched = home("honest", 5), home("honest", 6)
    session = closes[-3]
    where = (pl.col("event_time") == session) & (pl.col("symbol") == "AAA")
    rows = lake.read(table, where=where)
    column = "close_unadjusted" if table is BARS else "return_1d"
    late = session + LATE + timedelta(microseconds=1)
    restated = rows.with_columns(
        pl.col(column) * 2 + 1, pl.lit(late).cast(rows.schema["known_time"]).alias("known_time")
    )
    lake.merge(table, restated)
    for each in (lake, untouched):
        replay_forecasts(each, engines, FixedClock(DEMO_START + timedelta(minutes=6)), sessions=4)
    said = ["symbol", "event_time", "horizon_sessions", "model_name", "p10", "p50", "p90", "reference_price"]
    is_that = pl.col("event_time") == session
    left, right = (each.read(FORECASTS).filter(is_that).select(said).sort(said[:4]) for each in (lake, untouched))
    assert left.equals(right)


def test_training_frames_hold_what_was_known_at_the_decision(home) -> None:
    prompt, honest, declared_none = home("prompt", 0), home("honest", 5), home("honest", 0)
    frames = [
        training_frame(lake, Settings(home=lake.root.parent), clock=DECIDED).frame.sort("symbol", "event_time")
        for lake in (prompt, honest, declared_none)
    ]
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2]), "without a delay each session has the values of the one before"


@pytest.mark.parametrize(("field", "value"), [("decision_delay", -1), ("decision_delay", 721), ("delisted_after", 0)])
def test_delays_that_reach_into_the_next_session_are_refused(field: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{field} {value}.*Expected minutes from 0 to 720.*at least 1 session"):
        Market("desk", **{field: value})
