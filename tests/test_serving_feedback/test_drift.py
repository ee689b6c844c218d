"""Slow quantities that have not moved raise no alarm; quantities that have moved by half a deviation are found."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets import FORECAST_V2, build_windows, to_model_input, window_hash
from lake.clock import DEMO_START, FixedClock
from lake.errors import NotReadyError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import DRIFT
from serving.drift import newest_figures, update_drift, write_page
from serving.drift.measure import BLOCK_SESSIONS, CURRENT_SESSIONS, DriftSubject, drift_rows, judge
from serving.drift.report import write_report
from serving.drift.statistics import adjust, compare_with_blocks, session_scores

REFERENCE_SESSIONS = 2800
SYMBOLS = 25
MEMORIES = [0.0, 0.5, 0.9, 0.97]
DAYS = [
    datetime(2000, 1, 1, 21, tzinfo=UTC) + timedelta(days=day) for day in range(REFERENCE_SESSIONS + CURRENT_SESSIONS)
]
UNTIL = DAYS[REFERENCE_SESSIONS - 1]


def series(rng: np.random.Generator, memory: float, count: int) -> np.ndarray:
    """Unit-variance first-order autoregressions ``[session, series]``."""
    shocks = rng.standard_normal((len(DAYS) + 400, count)) * np.sqrt(1 - memory**2)
    return lfilter([1], [1, -memory], shocks, axis=0)[400:]


def subject(values: np.ndarray, name: str = "x") -> DriftSubject:
    """Return a subject of ``[session, symbol]``."""
    count = values.shape[1]
    symbols = np.tile([f"S{number:02d}" for number in range(count)], len(DAYS))
    frame = pl.DataFrame({"symbol": symbols, "value": values.ravel()})
    stamps = pl.Series("event_time", DAYS).gather(np.repeat(np.arange(len(DAYS)), count))
    return DriftSubject(name, frame.with_columns(stamps))


def p_values(values: np.ndarray) -> np.ndarray:
    split = REFERENCE_SESSIONS
    shifts = [compare_with_blocks(one[:split], one[split:], BLOCK_SESSIONS) for one in values.T]
    return np.array([shift.p_value for shift in shifts if shift is not None])


@pytest.mark.parametrize("memory", MEMORIES)
def test_no_drift_raises_no_more_alarms_than_declared(memory: float) -> None:
    """A quantity that is the same for all symbols is the hardest: nothing averages out."""
    found = p_values(series(np.random.default_rng(1), memory, 1000))
    # Three standard errors of a share of 1000 around 5 %.
    assert np.mean(found < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)
    reports = found.reshape(50, 20)
    assert np.mean([min(adjust(list(report))) < 0.05 for report in reports]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 50)


def test_a_test_that_takes_sessions_for_independent_fails_the_same_check() -> None:
    values = series(np.random.default_rng(1), 0.97, 200)
    naive = stats.ks_2samp(values[:REFERENCE_SESSIONS], values[REFERENCE_SESSIONS:]).pvalue
    assert np.mean(naive < 0.05) > 0.8


@pytest.mark.parametrize("memory", MEMORIES)
def test_half_a_deviation_is_found_in_nine_of_ten_panels(memory: float) -> None:
    """One of ten features moves by half a deviation of its values, over 25 symbols that move on their own."""
    caught = []
    for seed in range(12):
        rng = np.random.default_rng([seed, 2])
        values = series(rng, memory, SYMBOLS)
        values[REFERENCE_SESSIONS:] += 0.5
        moved = list(judge(subject(values), UNTIL))
        others = [float(p) for p in rng.uniform(size=18)]
        level = next(found for found in moved if found.aspect == "level")
        caught.append(adjust([level.shift.p_value, *others])[0] < 0.05)
    assert np.mean(caught) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("memory", MEMORIES)
def test_whole_reports_on_undrifted_panels_raise_an_alarm_in_at_most_one_of_twenty(memory: float) -> None:
    alarms, moved = [], []
    for seed in range(60):
        rng = np.random.default_rng([seed, 3])
        subjects = [subject(series(rng, memory, 5), f"x{number}") for number in range(8)]
        findings = [finding for one in subjects for finding in judge(one, UNTIL)]
        alarms.append(drift_rows(findings, DAYS[-1], DAYS[-1])["is_drifted"].any())
        values = series(rng, memory, SYMBOLS)
        values[REFERENCE_SESSIONS:] += 0.5
        findings[:2] = list(judge(subject(values, "moved"), UNTIL))
        moved.append(drift_rows(findings, DAYS[-1], DAYS[-1]).filter(subject="moved")["is_drifted"].any())
    assert np.mean(alarms) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)
    assert np.mean(moved) >= 0.9


def test_a_wider_spread_is_found_where_the_level_stays() -> None:
    values = series(np.random.default_rng(4), 0.5, SYMBOLS)
    values[REFERENCE_SESSIONS:] *= 1.5
    found = {finding.aspect: finding.shift.p_value for finding in judge(subject(values), UNTIL)}
    assert found["spread"] < 1e-6
    assert found["level"] > 0.01


def test_the_statistic_is_the_batch_means_prediction_worked_by_hand() -> None:
    reference = np.array([1.0, 3.0, 2.0, 4.0, 0.0, 2.0, 5.0, 3.0, 1.0, 1.0])  # block means 2, 3, 1, 4, 1
    shift = compare_with_blocks(reference, np.array([4.0, 6.0]), block=2)
    assert shift is not None
    deviation = np.sqrt(((np.array([2, 3, 1, 4, 1]) - 2.2) ** 2).sum() / 4)
    assert shift.statistic == pytest.approx((5 - 2.2) / (deviation * np.sqrt(1 + 1 / 5)))
    assert shift.p_value == pytest.approx(2 * stats.t.sf(shift.statistic, 4))


@pytest.mark.parametrize(("missing", "is_drift"), [(1.0, True), (0.3, True), (0.02, False)])
def test_a_feature_that_is_no_longer_known_has_drifted(missing: float, is_drift: bool) -> None:
    rng = np.random.default_rng(3)
    whole = subject(series(rng, 0.5, SYMBOLS))
    is_missing = pl.Series(rng.random(whole.values.height) < missing) & (whole.values["event_time"] > UNTIL)
    warming_up = whole.values["event_time"] < DAYS[60]
    value = pl.when(is_missing | warming_up).then(None).otherwise("value").alias("value")
    gone = DriftSubject("gone", whole.values.with_columns(value))
    others = [subject(series(rng, 0.9, SYMBOLS), f"x{number}") for number in range(5)]
    rows = drift_rows([finding for each in (gone, *others) for finding in judge(each, UNTIL)], UNTIL, UNTIL)
    drifted = rows.filter("is_drifted", subject="gone", aspect="known").height
    assert drifted == int(is_drift)
    assert rows.filter(aspect="known", subject="x0").is_empty(), "always known, and still"


def test_a_null_feature_raises_drift_of_the_market(
    made_market: Lake, engines, closes, settings: Settings, tmp_path: Path, copy_lake, monkeypatch
) -> None:
    import serving.drift.measure as room

    monkeypatch.setattr(room, "BLOCK_SESSIONS", 40)
    lake = copy_lake(made_market, tmp_path / "drift" / "tables")
    value = pl.when(pl.col("event_time") <= closes[-101]).then("return_1d").alias("return_1d")
    lake.rebuild(FEATURES_TECHNICAL, [lake.read(FEATURES_TECHNICAL).with_columns(value)])
    early = {name: replace(engine, train_until=closes[-101]) for name, engine in engines.items()}
    report = update_drift(lake, settings, FixedClock(DEMO_START), early)
    assert "return_1d" in report.details["drifted"]
    found = lake.read(DRIFT).filter(subject="return_1d")
    assert found["aspect"].to_list() == ["known"]
    page = write_page(lake, settings, newest_figures(lake, DEMO_START), early)
    assert "return_1d" in page.read_text(encoding="utf-8")


def test_no_page_before_a_session_was_judged(lake: Lake) -> None:
    with pytest.raises(NotReadyError, match="No session was judged for drift by then: too few sessions"):
        newest_figures(lake, DEMO_START)


def test_too_short_a_reference_or_one_that_never_moved_says_nothing() -> None:
    assert compare_with_blocks(np.arange(8.0), np.ones(2), block=2) is None
    assert compare_with_blocks(np.arange(20.0), np.array([]), block=2) is None
    assert compare_with_blocks(np.ones(20), np.ones(4), block=2) is None
    moved = compare_with_blocks(np.ones(20), np.full(4, 2.0), block=2)
    assert moved is not None
    assert (moved.statistic, moved.p_value) == (None, 0.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(found: list[float]) -> None:
    adjusted = adjust(found)
    assert all(new >= old for new, old in zip(adjusted, found, strict=True))
    order = np.argsort(found, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert min(adjusted) == pytest.approx(min(1, len(found) * min(found)))


def test_holm_is_as_in_the_textbook() -> None:
    assert adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=30))
def test_scores_keep_the_order_and_do_not_mind_the_scale(values: list[float]) -> None:
    def scores(numbers: list[float]) -> list[float]:
        frame = pl.DataFrame({"symbol": ["A"] * len(numbers), "event_time": DAYS[: len(numbers)], "value": numbers})
        return session_scores(frame, pl.lit(value=True))["level"].to_list()

    found = np.array(scores(values))
    assert np.isfinite(found).all()
    assert (np.diff(found[np.argsort(values)]) >= 0).all()
    ranks = np.unique(values, return_inverse=True)[1]
    np.testing.assert_allclose(found, scores(np.exp(ranks / 3).tolist()))


def test_evidently_says_what_the_test_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    before, now = (pl.DataFrame(rng.standard_normal((count, 3)), schema=["a", "b", "c"]) for count in (300, 60))
    for verdicts, verdict, drifted in (
        ({"a": 0.9, "b": 0.04, "c": 1.0}, "detected", 1),
        ({"a": 0.9, "b": 0.06, "c": 1.0}, "NOT detected", 0),
    ):
        path = write_report(before.to_pandas(), now.to_pandas(), verdicts, tmp_path / "page" / "drift.html")
        page = path.read_text(encoding="utf-8")
        assert f"Dataset Drift is {verdict}" in page
        assert re.search(rf"columns \({drifted} out of 3\)", page) is not None
        assert re.search(r"drift detection threshold is 0\.3\D", page), "no sixteen digits of a third"
        assert "#ed0400" not in page, "the curves of what did not drift are not drawn in red"


def test_drift_of_the_market_is_judged_and_shown_by_evidently(
    made_market: Lake, engines, closes, settings: Settings, tmp_path: Path, copy_lake, monkeypatch
) -> None:
    import serving.drift.measure as room

    monkeypatch.setattr(room, "BLOCK_SESSIONS", 40)
    lake = copy_lake(made_market, tmp_path / "drift" / "tables")
    early = {name: replace(engine, train_until=closes[-101]) for name, engine in engines.items()}
    report = update_drift(lake, settings, FixedClock(DEMO_START), early)
    rows = lake.read(DRIFT)
    assert report.added == rows.height > 30
    assert {"return_1d", "market_volatility", "ridge forecast median", "naive forecast band"} <= set(rows["subject"])
    assert "naive forecast median" not in rows["subject"], "a forecast that is always zero cannot move"
    assert rows["event_time"].unique().to_list() == [DEMO_START]
    assert (rows["is_drifted"] == (rows["adjusted_p_value"] < 0.05)).all()
    assert not settings.reports.exists(), "the page is made when somebody asks for it"
    figures = newest_figures(lake, DEMO_START)
    path = write_page(lake, settings, figures, early)
    assert path == settings.reports / "drift-2012-12-31.html"
    assert figures.drifted == report.details["drifted"]
    page = path.read_text(encoding="utf-8")
    assert "block means against the training period" in page
    drifted = re.search(r"Drift is detected for [\d.]+% of columns \((\d+) out of (\d+)\)", page)
    assert drifted is not None
    assert (int(drifted[1]), int(drifted[2])) == (len(report.details["drifted"]), rows["subject"].n_unique())
    again = update_drift(lake, settings, FixedClock(DEMO_START), early)
    assert (again.skipped, again.details["reason"]) == (True, "the newest session has been judged")


def test_no_window_spans_the_sessions_that_are_left_out(
    made_market: Lake, engines, closes, settings: Settings, tmp_path: Path, copy_lake, monkeypatch
) -> None:
    import serving.drift.measure as room

    def look(values):
        seen.extend(window_hash(window) for window in values)
        return to_model_input(values)

    seen: list[str] = []
    monkeypatch.setattr(room, "BLOCK_SESSIONS", 40)
    monkeypatch.setattr(room, "CURRENT_SESSIONS", 60)
    monkeypatch.setattr(room, "to_model_input", look)
    lake = copy_lake(made_market, tmp_path / "drift" / "tables")
    early = {name: replace(engine, train_until=closes[-101]) for name, engine in engines.items()}
    update_drift(lake, settings, FixedClock(DEMO_START), early)
    windows = build_windows(lake.read_as_of(FEATURES_TECHNICAL, DEMO_START), FORECAST_V2)
    assert seen
    assert set(seen) <= {window_hash(window) for window in windows.values}


def test_too_few_sessions_after_training_are_not_judged(made_market: Lake, engines, settings: Settings) -> None:
    report = update_drift(made_market, settings, FixedClock(DEMO_START), engines)
    assert report.details["reason"] == "30 sessions have passed since training; 40 are needed for a comparison"


def test_without_a_model_in_service_there_is_nothing_to_compare_with(made_market: Lake, settings: Settings) -> None:
    with pytest.raises(NotReadyError):
        update_drift(made_market, settings, FixedClock(DEMO_START))
