"""View model of past accuracy: what is drawn, what is said of it, and what is not told of a few outcomes."""

from datetime import UTC, datetime, timedelta

import pytest

from serving.api import (
    AccuracyAnswer,
    AccuracyGroup,
    AccuracyPoint,
    CalibrationAnswer,
    GroupRecord,
    HitRecord,
    SkillRecord,
)
from serving.api.explanations import CounterfactualAnswer, EngineRead, FeatureSweep, ForecastRead, SweepPoint
from serving.history import band_record, replayed_record
from serving.history.records import hit_record
from serving.pages.views.accuracy import accuracy_view, group_line
from serving.pages.views.bands import badge_of
from serving.pages.views.plots import HEIGHT, SIDE, coverage_plot, scatter
from serving.pages.views.why import what_if_view

NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)
SKILL = SkillRecord(
    outcomes=60, sessions=60, pinball_loss=0.005, naive_loss=0.004, skill=-0.25, low=-0.4, high=-0.1, is_enough=True,
    sentence="",
)  # fmt: skip


def point(place: int, p50: float, realised: float) -> AccuracyPoint:
    return AccuracyPoint(
        event_time=NOW - timedelta(days=place), known_time=NOW, regime="calm", p10=p50 - 0.02, p50=p50, p90=p50 + 0.02,
        realised_return=realised, is_inside=abs(realised - p50) <= 0.02, is_direction_hit=None, pinball_loss=0.005,
        naive_loss=0.004,
    )  # fmt: skip


def group(name: str, outcomes: int, held: int, hits: HitRecord | None = None) -> AccuracyGroup:
    hits = hits or hit_record(outcomes, held, outcomes, 1)
    return AccuracyGroup(group=name, band=band_record(outcomes, held, outcomes, 1), skill=SKILL, hits=hits)


def answer(points: list[AccuracyPoint], outcomes: int, **changes) -> AccuracyAnswer:
    whole = group("all", outcomes, outcomes * 3 // 4)
    values = {
        "symbol": "KO", "as_of": NOW, "rows_in_all": outcomes, "next_offset": None, "horizon_sessions": 1,
        "model": None, "record": "answered", "overall": whole, "regimes": [whole], "quarters": [whole],
    }  # fmt: skip
    return AccuracyAnswer(points=points, **(values | changes))


MANY = [point(place, 0.001 * (place % 5 - 1), 0.01 * (place % 7 - 3)) for place in range(60)]


def test_below_thirty_outcomes_nothing_is_drawn_and_no_share_is_told():
    view = accuracy_view(answer(MANY[:29], 29))
    assert (view.scatter, view.coverage) == (None, None)
    assert view.overall.badge.words == "not enough outcomes (n = 29)"
    assert view.overall.hits == "not enough (n = 29)"
    assert accuracy_view(answer(MANY[:30], 30)).scatter is not None


@pytest.mark.parametrize(
    ("record", "model", "begins", "badge"),
    [
        ("answered", None, "Forecasts that were answered", "held 75 %"),
        ("in_replay", None, "In replay, never answered", "in replay 75 %"),
        ("walk_forward", "ridge", "Walk-forward of ridge, one model alone", "held 75 %"),
    ],
)
def test_whose_forecasts_are_shown_is_said_above_them(record, model, begins, badge):
    view = accuracy_view(answer(MANY, 60, record=record, model=model))
    assert view.whose.startswith(begins)
    for line in (view.overall, *view.regimes, *view.quarters):
        assert line.badge.words.startswith(badge)
        assert (line.badge.kind == "in_replay") == (record == "in_replay")


def test_each_outcome_is_one_mark_within_the_drawing():
    drawn = scatter(MANY)
    inside = sum(one.is_inside for one in MANY)
    assert drawn.inside.count("M") == drawn.inside.count("h0") == inside
    assert drawn.outside.count("l") == 2 * (60 - inside)
    for mark, one in zip(drawn.inside.split("M")[1:], [one for one in MANY if one.is_inside], strict=True):
        x, y = map(float, mark.removesuffix("h0").split())
        assert 0 < x < SIDE
        assert 0 < y < HEIGHT
        assert (x > drawn.zero_x) == (one.p50 > 0)
        assert (y < drawn.zero_y) == (one.realised_return > 0)
    assert [tick.label for tick in drawn.across] == ["−0.30 %", "0.00 %", "+0.30 %"]


def test_medians_of_zero_are_drawn_without_a_diagonal_and_called_so():
    flat = [point(place, 0.0, 0.01) for place in range(30)]
    assert scatter(flat).diagonal == ""
    assert "Every median was zero" in accuracy_view(answer(flat, 30)).caption
    assert "Every median" not in accuracy_view(answer(MANY, 60)).caption


def test_a_part_of_the_outcomes_is_called_the_newest():
    assert accuracy_view(answer(MANY, 600)).caption.startswith("The newest 60 of 600 outcomes. ")


def test_a_quarter_with_few_outcomes_has_no_share_in_the_drawing():
    drawn = coverage_plot([group("2012 Q3", 60, 45), group("2012 Q4", 12, 12)])
    assert [one.middle for one in drawn.points] == [pytest.approx(HEIGHT / 4), None]
    assert drawn.points[0].low > drawn.points[0].middle > drawn.points[0].high, "the drawing is measured from above"


def test_hits_no_better_than_guessing_are_called_so_and_negative_skill_is_told():
    assert group_line(group("calm", 100, 52), "answered").hits == "52 % (44–60 %, n = 100), as guessing"
    line = group_line(group("calm", 100, 80), "answered")
    assert (line.hits, line.skill, line.skill_sign) == ("80 % (73–86 %, n = 100)", "−25.0 %", -1)


def what_if(value: float | None) -> CounterfactualAnswer:
    read = {"target_price": None, "direction": "up", "confidence": 0.5}
    stored = ForecastRead(p10=-0.0123, p50=0.0045, p90=0.0234, outlook="slightly up", **read)
    points = [SweepPoint(to=float(to), p10=-0.01, p50=0.0, p90=0.01, **read) for to in range(41)]
    sweep = FeatureSweep(feature="rsi_14", value=value, percentile=None, low=0.0, high=40.0, points=points)
    engine = EngineRead(name="onnxruntime", devices=["cpu"], digests={"ridge": "0" * 64})
    return CounterfactualAnswer(
        prediction_id="f", symbol="KO", as_of=NOW, engine=engine, seconds=0.1, is_cached=False, stored=stored,
        changed=None, delta=None, moved=[], is_inside_range=None, is_found=None, sweeps=[sweep], note="",
    )  # fmt: skip


def calibration() -> CalibrationAnswer:
    few = GroupRecord(group="all", band=band_record(12, 12, 12, 1), skill=SKILL)
    return CalibrationAnswer(
        symbol="KO", as_of=NOW, model=None, overall=few, regimes=[], band_in_replay=replayed_record(212, 170, 212, 1)
    )


def test_what_if_has_the_badge_of_the_symbols_page():
    record = calibration()
    badge = what_if_view(what_if(20.5), record).band.badge
    assert badge == badge_of(record.overall.band, record.band_in_replay)
    assert badge.words.startswith("in replay 80 %")


@pytest.mark.parametrize(("value", "place"), [(20.5, 21), (-3.0, 0), (99.0, 41)])
def test_a_slider_stands_at_the_true_value_and_returns_the_served_number(value, place):
    (sweep,) = what_if_view(what_if(value), calibration()).sweeps
    assert (sweep.position, len(sweep.points)) == (place, 42)
    assert {name: sweep.points[place][name] for name in ("median", "low", "high")} == {
        "median": "+0.45 %",
        "low": "−1.2 %",
        "high": "+2.3 %",
    }
    assert [row[1] for row in sweep.rows] == ["0", "20", "40"]


def test_a_slider_of_an_unknown_value_stands_in_the_middle():
    (sweep,) = what_if_view(what_if(None), calibration()).sweeps
    assert (sweep.position, len(sweep.points)) == (20, 41)
