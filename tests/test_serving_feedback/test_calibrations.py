"""The lake's side: blends as they were in force, corrections that nothing later changes, figures that are true."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from lake.clock import DEMO_START, FixedClock
from lake.errors import NotReadyError
from lake.store import Lake
from lake.tables import BLEND_WEIGHTS, CALIBRATIONS, FORECASTS, LABELS, OUTCOMES
from serving.backfill import replay_forecasts
from serving.blend_weights import update_blend_weights
from serving.calibration import confidence_reliability, learning, simulate, update_calibrations
from serving.calibration.learning import coverage_of, simulate_walk_forward
from serving.calibration.picture import draw
from serving.calibration.reliability import reliability
from serving.forecasts import blend, blend_replayed
from serving.outcomes import known_labels, mature
from serving.outcomes.coverage import coverage_by_regime
from serving.strategies import KNOWN_REGIMES
from support.blend import weights_row

NOW = FixedClock(DEMO_START)
LISTS = ("lower", "upper", "trust", "sessions")


@pytest.fixture(scope="module")
def lived(made_market: Lake, engines, tmp_path_factory, copy_lake: Callable[[Lake, Path], Lake]) -> Lake:
    """Return the market after 25 replayed sessions with outcomes and selections; to read only."""
    home = tmp_path_factory.mktemp("lived")
    lake = copy_lake(made_market, home / "tables")
    replay_forecasts(lake, engines, NOW, sessions=25)
    mature(lake, NOW)
    update_blend_weights(lake, NOW)
    return lake


@pytest.fixture
def lake(lived: Lake, tmp_path: Path, copy_lake: Callable[[Lake, Path], Lake]) -> Lake:
    return copy_lake(lived, tmp_path / "calibrated" / "tables")


def test_each_close_has_one_row_with_an_entry_per_regime_and_horizon(lake: Lake, closes) -> None:
    report = update_calibrations(lake, NOW)
    rows = lake.read(CALIBRATIONS).sort("event_time")
    assert report.added == rows.height == 25
    assert rows["event_time"].to_list() == closes[-25:]
    assert rows["event_time"].equals(rows["known_time"].alias("event_time"))
    entries = list(zip(rows["regimes"][-1], rows["horizons"][-1], strict=True))
    assert entries == [(regime, horizon) for regime in KNOWN_REGIMES for horizon in (1, 5)]
    assert rows["lower"][0].to_list() == [1.0] * len(entries), "nothing was known at the first close"
    assert sum(rows["sessions"][-1].to_list()[0::2]) == pytest.approx(24)
    assert sum(rows["sessions"][-1].to_list()[1::2]) == pytest.approx(20)
    assert {row["horizon_sessions"] for row in report.details["coverage"]} == {1, 5}
    again = update_calibrations(lake, NOW)
    assert (again.skipped, again.details["reason"]) == (True, "every close that was forecast has its calibration")


def test_living_day_by_day_appends_what_one_jump_appends(lake: Lake, lived: Lake, closes, tmp_path, copy_lake) -> None:
    daily = copy_lake(lived, tmp_path / "daily" / "tables")
    update_calibrations(lake, NOW)
    for close in closes[-25:]:
        update_calibrations(daily, FixedClock(close))
    assert daily.read(CALIBRATIONS).sort("event_time").equals(lake.read(CALIBRATIONS).sort("event_time"))


def later_outcomes_that_leak(lived: Lake, closes, tmp_path: Path, copy_lake) -> int:
    """Count corrections in force at a close that change when every outcome known after it is another one."""
    at = closes[-12]
    first, other = (copy_lake(lived, tmp_path / name / "tables") for name in ("first", "other"))
    path = other.path(LABELS)
    labels = lived.read(LABELS)
    changed = pl.when(pl.col("known_time") > at).then(0.5 - 3 * pl.col("forward_return")).otherwise("forward_return")
    for file in path.rglob("*"):
        if file.is_file():
            file.unlink()
    other.merge(LABELS, labels.with_columns(changed.alias("forward_return")))
    for each in (first, other):
        update_calibrations(each, NOW)
    left, right = (each.read(CALIBRATIONS).sort("event_time") for each in (first, other))
    assert not left.equals(right), "what came later is learned from later"
    until = pl.col("event_time") <= at
    return sum(int((left.filter(until)[name] != right.filter(until)[name]).sum()) for name in LISTS)


def test_outcomes_known_later_change_nothing_that_was_in_force(lived: Lake, closes, tmp_path, copy_lake) -> None:
    assert later_outcomes_that_leak(lived, closes, tmp_path, copy_lake) == 0


def test_labels_taken_as_known_at_the_forecast_are_found_to_leak(
    lived: Lake, closes, tmp_path, copy_lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant."""

    def at_once(lake: Lake, clock: FixedClock) -> pl.DataFrame:
        return known_labels(lake, clock).with_columns(pl.col("event_time").alias("known_time"))

    monkeypatch.setattr(learning, "known_labels", at_once)
    assert later_outcomes_that_leak(lived, closes, tmp_path, copy_lake) > 0


def test_what_is_calibrated_is_the_blend_by_the_weights_in_force(lived: Lake, closes) -> None:
    """By `serving.forecasts.blending`, not by the code under test."""
    forecasts, weights = lived.read(FORECASTS), {"naive": 0.3, "ridge": 0.7}
    at = closes[-3]
    decided = pl.concat([weights_row(closes[0], {5: {"naive": 1.0}}), weights_row(at, {1: {"naive": 1.0}, 5: weights})])
    blends = blend_replayed(forecasts, decided).filter(event_time=at, horizon_sessions=5, symbol="CCC")
    said = forecasts.filter(event_time=at, horizon_sessions=5, symbol="CCC")
    parts = {row["model_name"]: np.array([[[row["p10"], row["p50"], row["p90"]]]]) for row in said.to_dicts()}
    expected = blend(parts, weights)[0, 0]
    assert blends.select("p10", "p50", "p90").row(0) == pytest.approx(expected.tolist(), rel=1e-12)


def test_a_close_without_a_forecast_of_every_weighted_model_is_left_out(lived: Lake, closes) -> None:
    forecasts, both = lived.read(FORECASTS), {"naive": 0.5, "ridge": 0.5}
    holed = forecasts.filter(~((pl.col("model_name") == "ridge") & (pl.col("event_time") == closes[-2])))
    left = blend_replayed(holed, weights_row(closes[0], {1: both, 5: both}))["event_time"].unique().to_list()
    assert closes[-2] not in left
    assert len(left) == 24


def test_nothing_to_calibrate_is_said(made_market: Lake, lived: Lake) -> None:
    with pytest.raises(NotReadyError, match="Nothing can be calibrated yet"):
        simulate_walk_forward(made_market, NOW)
    with pytest.raises(NotReadyError, match="No close has a replayed forecast"):
        simulate_walk_forward(lived, FixedClock(DEMO_START.replace(year=2010)))


def test_coverage_before_and_after_is_counted_by_regime_and_horizon(lived: Lake) -> None:
    lives = simulate_walk_forward(lived, NOW)
    figures = coverage_of(lives)
    one = lives[0]
    said, realised = one.calibrated(), one.panel.realised
    regime = figures["regime"][0]
    mine = (one.rows["regime"] == regime).to_numpy() & ~np.isnan(realised)
    row = figures.filter(horizon_sessions=1, regime=regime).row(0, named=True)
    inside = [low <= came <= high for (low, _, high), came in zip(said[mine], realised[mine], strict=True)]
    assert (row["forecasts"], row["coverage"]) == (mine.sum(), pytest.approx(np.mean(inside)))
    assert figures.filter(horizon_sessions=1)["forecasts"].sum() == 24 * 4


def test_the_coverage_that_is_watched_is_of_what_was_answered(lake: Lake) -> None:
    assert coverage_by_regime(lake, NOW).is_empty(), "replays of single models are not what was answered"
    figures = coverage_by_regime(lake, NOW, sessions=10, kinds=("replay",))
    matured = lake.read(FORECASTS).join(lake.read(OUTCOMES), on="forecast_id").filter(horizon_sessions=5)
    newest = matured["event_time"].unique().sort().tail(10)
    mine = matured.filter(pl.col("event_time").is_in(newest.implode()))
    found = figures.filter(horizon_sessions=5)
    assert found["forecasts"].sum() == mine.height
    for row in found.to_dicts():
        expected = mine.filter(regime=row["regime"])["is_covered"].mean()
        assert (row["coverage"], row["excess"]) == pytest.approx((expected, expected - 0.8))
    assert coverage_by_regime(lake, FixedClock(DEMO_START.replace(year=2010)), kinds=("replay",)).is_empty()


def drawn(seed: int = 1, sessions: int = 800, symbols: int = 20):
    """Return probabilities, directions drawn with them in common within a session, and their sessions."""
    random = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), symbols)
    said = random.uniform(0.5, 0.7, len(session))
    common = np.repeat(random.normal(size=sessions), symbols)
    luck = norm.cdf(0.5 * common + np.sqrt(0.75) * random.normal(size=len(session)))
    return said, (luck < said).astype(float), session


def test_a_confidence_that_comes_true_is_believed() -> None:
    found = reliability(*drawn(), 1)
    assert found.is_believable
    assert found.expected_calibration_error < 0.03
    assert found.brier < found.base_rate_brier
    assert found.table["forecasts"].sum() == 800 * 20
    near = (found.table["confidence"] - found.table["hit_rate"]).abs() < 4 * found.table["standard_error"]
    assert near.all()


@pytest.mark.parametrize(
    "wrong", [lambda said: said + 0.1, lambda said: np.full_like(said, 0.9), lambda said: said / 2]
)
def test_a_wrong_confidence_is_caught(wrong) -> None:
    """The mutants: too sure, sure of everything, too modest."""
    said, hits, session = drawn()
    found = reliability(wrong(said), hits, session, 1)
    assert not found.is_believable
    assert found.expected_calibration_error > 0.08
    assert found.brier > found.base_rate_brier


def test_the_confidence_of_lived_sessions_is_judged_by_their_direction(lived: Lake) -> None:
    labels = known_labels(lived, NOW)
    blends = blend_replayed(lived.read(FORECASTS), lived.read(BLEND_WEIGHTS))
    (one, _) = simulate(blends, labels)
    found = confidence_reliability(one)
    joined = blends.join(labels, on=["symbol", "event_time", "horizon_sessions"]).filter(horizon_sessions=1)
    hit_rate = (joined["p50"].sign() == joined["forward_return"].sign()).mean()
    assert found.base_rate_brier == pytest.approx(hit_rate * (1 - hit_rate))
    assert found.table["confidence"].is_between(0.5, 1.0).all()
    with pytest.raises(NotReadyError, match="No forecast with a direction has an outcome yet"):
        confidence_reliability(one, first_session=24)


def test_a_horizon_of_which_nothing_has_matured_is_drawn_empty(lived: Lake, tmp_path: Path) -> None:
    labels = known_labels(lived, NOW).filter(pl.col("horizon_sessions") == 1)
    blends = blend_replayed(lived.read(FORECASTS), lived.read(BLEND_WEIGHTS))
    assert draw(simulate(blends, labels), tmp_path / "coverage.png").stat().st_size > 0
