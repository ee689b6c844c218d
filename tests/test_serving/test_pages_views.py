"""View models of the dashboard as tables: values in, what is printed out."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from serving.api import (
    BandRecord,
    CalibrationAnswer,
    GroupRecord,
    HistoryBar,
    HistoryChoiceCost,
    HistoryDrift,
    HistoryForecast,
    HistoryLatency,
    HistoryModel,
    HistoryOutcome,
    HistoryRegime,
    HistorySelection,
    SkillRecord,
    WatchRow,
)
from serving.history import band_record, replayed_record
from serving.pages import formats
from serving.pages.rendering import STATIC, templates
from serving.pages.views.as_of import as_of_choice
from serving.pages.views.bands import badge_of, price_band, return_band
from serving.pages.views.chart import price_chart
from serving.pages.views.models import model_lines, record_lines
from serving.pages.views.operations import TableState, drift_lines, freshness_lines, latency_lines
from serving.pages.views.strategies import strategies_view
from serving.pages.views.symbol import accuracy_lines, forecast_card
from serving.pages.views.watch_list import ROWS, WatchListPart, watch_list

NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)
DAYS = [date(2012, 12, day) for day in (26, 27, 28, 31)]
FEW = band_record(outcomes=12, held=12, sessions=12, overlap=1)
GOOD = band_record(outcomes=212, held=170, sessions=212, overlap=1)
REPLAYED = replayed_record(outcomes=212, held=170, sessions=212, overlap=1)
NARROW = band_record(outcomes=212, held=120, sessions=212, overlap=1)
NO_SKILL = SkillRecord(
    outcomes=12, sessions=12, pinball_loss=None, naive_loss=None, skill=None, low=None, high=None, is_enough=False,
    sentence="",
)  # fmt: skip
SKILL = SkillRecord(
    outcomes=212, sessions=212, pinball_loss=0.004, naive_loss=0.0041, skill=-0.012, low=-0.03, high=0.006,
    is_enough=True, sentence="",
)  # fmt: skip


COST = HistoryChoiceCost(regime="b", sessions=40, cost_bps=-1.5, low=-3.0, high=0.5)


def row(symbol: str, **changes) -> WatchRow:
    values = {
        "session": date(2012, 12, 31), "known_time": NOW, "close": 36.2, "price_traded": 37.5, "change": 0.0123,
        "sessions_old": 0, "forecast_id": "f-1", "forecast_known_time": NOW, "p10": -0.02, "p50": 0.0021, "p90": 0.03,
        "target_session": date(2013, 1, 2), "since_previous": 0.0011, "regime": "low_volatility_uptrend", "band": GOOD,
    }  # fmt: skip
    return WatchRow(symbol=symbol, **(values | changes))


def part_of(rows: list[WatchRow], names: dict[str, str] | None = None, **asked) -> WatchListPart:
    """The part of a list of rows; only those of the part are told."""
    counted = {"outcomes": pl.Int64, "held": pl.Int64, "sessions": pl.Int64, "overlap": pl.Int64}
    told = {each.symbol: each for each in rows}
    flat = [
        each.model_dump(exclude={"band", "band_in_replay"})
        | {
            "outcomes": each.band.outcomes,
            "held": round((each.band.held or 0) * each.band.outcomes),
            "sessions": each.band.sessions,
            "overlap": 1,
        }
        for each in rows
    ]

    def tell(part: pl.DataFrame) -> list[WatchRow]:
        assert part.height <= ROWS
        return [told[symbol] for symbol in part["symbol"]]

    texts, numbers = (
        {"forecast_id": pl.String, "regime": pl.String},
        dict.fromkeys(("change", "p10", "p50", "p90"), pl.Float64),
    )
    watched = pl.DataFrame(flat, schema_overrides={**texts, **numbers, **counted}, infer_schema_length=None)
    return watch_list(watched, names or {}, tell, **asked)


def record(band: BandRecord = GOOD, skill: SkillRecord = SKILL, model: str | None = None, group: str = "all"):
    overall = GroupRecord(group=group, band=band, skill=skill)
    return CalibrationAnswer(
        symbol="KO", as_of=NOW, horizon_sessions=1, model=model, overall=overall, regimes=[overall]
    )


@pytest.mark.parametrize(
    ("band", "words", "kind"),
    [
        (FEW, "not enough outcomes (n = 12)", "few"),
        (band_record(outcomes=0, held=0, sessions=0, overlap=5), "not enough outcomes (n = 0)", "few"),
        (band_record(outcomes=29, held=20, sessions=29, overlap=1), "not enough outcomes (n = 29)", "few"),
        (GOOD, "held 80 % (75–84 %, n = 212)", "as_promised"),
        (NARROW, "held 57 % (51–62 %, n = 212), too narrow", "too_narrow"),
        (band_record(outcomes=3_000, held=2_900, sessions=3_000, overlap=1), None, "too_wide"),
    ],
)
def test_a_badge_says_how_often_bands_held_or_that_it_cannot_be_said(band, words, kind):
    badge = badge_of(band)
    assert badge.kind == kind
    assert words is None or badge.words == words


def test_a_badge_tells_no_share_of_a_few_outcomes_whatever_the_record_holds():
    told = GOOD.model_copy(update={"outcomes": 29})
    assert badge_of(told).words == "not enough outcomes (n = 29)"


@pytest.mark.parametrize(
    ("answered", "in_replay", "words", "kind"),
    [
        (FEW, REPLAYED, "in replay 80 % (75–84 %, n = 212)", "in_replay"),
        (FEW, replayed_record(212, 120, 212, 1), "in replay 57 % (51–62 %, n = 212), too narrow", "in_replay"),
        (FEW, replayed_record(29, 20, 29, 1), "not enough outcomes (n = 12)", "few"),
        (FEW, None, "not enough outcomes (n = 12)", "few"),
        (NARROW, REPLAYED, "held 57 % (51–62 %, n = 212), too narrow", "too_narrow"),
    ],
)
def test_a_badge_tells_of_replays_only_where_too_few_were_answered_and_says_so(answered, in_replay, words, kind):
    badge = badge_of(answered, in_replay)
    assert (badge.words, badge.kind) == (words, kind)
    assert ("would have answered" in badge.title) == (kind == "in_replay")
    assert return_band(-0.02, 0.03, answered, in_replay).badge == badge
    assert price_band(36.0, 38.5, answered, in_replay).badge == badge


def test_the_pages_tell_of_replays_under_a_name_of_their_own():
    (line,) = part_of([row("KO", band=FEW, band_in_replay=REPLAYED)]).lines
    assert (line.badge.kind, line.band.badge) == ("in_replay", line.badge)
    told = record(FEW, NO_SKILL).model_copy(update={"band_in_replay": REPLAYED})
    blend = GroupRecord(group="all", band=REPLAYED, skill=SKILL)
    card = forecast_card(forecast(DAYS[3], "f"), told, None)
    assert card.band.badge == card.band_of_price.badge == line.badge
    answered, *_, replayed = accuracy_lines(told, [], blend)
    assert (answered.outcomes, answered.badge.kind) == ("12", "few")
    assert (replayed.group, replayed.outcomes, replayed.badge) == ("… in replay, the blend", "212", line.badge)
    assert (replayed.skill, replayed.loss, replayed.remark) == ("−1.2 %", "0.400 %", "chance alone could explain it")


def test_a_replayed_badge_has_a_style_of_its_own_and_says_why_in_its_tooltip():
    print_badge = templates().get_template("macros.html").module.badge
    assert print_badge(badge_of(GOOD)) == '<span class="badge badge-as_promised">held 80 % (75–84 %, n = 212)</span>'
    printed = str(print_badge(badge_of(FEW, REPLAYED)))
    assert printed.startswith('<span class="badge badge-in_replay" title="Too few answered forecasts have an outcome')
    assert ">in replay 80 % (75–84 %, n = 212)<" in printed
    assert ".badge-in_replay {" in (STATIC / "dashboard.css").read_text("utf-8")


def test_a_band_that_was_never_answered_calls_for_no_attention():
    narrow = replayed_record(212, 120, 212, 1)
    assert part_of([row("KO", band=FEW, band_in_replay=narrow)]).attention == ()


def test_no_band_is_made_without_its_badge():
    for band in (return_band(-0.02, 0.03, GOOD), price_band(36.0, 38.5, FEW)):
        assert band is not None
        assert band.badge.words
        assert band.badge == badge_of(GOOD if "%" in band.low else FEW)
    assert return_band(None, 0.03, GOOD) is None
    assert price_band(36.0, None, GOOD) is None


def test_a_line_of_the_watch_list_is_printed():
    line = part_of([row("KO")], {"KO": "Coca-Cola"}).lines[0]
    told = (line.last, line.change, line.forecast, line.since_previous, line.age)
    assert told == ("37.50", "+1.2 %", "+0.21 %", "+0.11 pp", "0")
    assert (line.band.low, line.band.high) == ("−2.0 %", "+3.0 %")
    assert not line.is_adjusted
    unknown = part_of([row("KO", price_traded=None, p10=None, p50=None, p90=None, forecast_id=None)]).lines[0]
    assert (unknown.last, unknown.is_adjusted, unknown.band, unknown.forecast) == ("36.20", True, None, "–")


def test_the_watch_list_is_searched_by_symbol_and_name_and_cut_into_parts():
    rows = [row(f"S{number:04}") for number in range(5_000)]
    names = {"S0042": "Deep Thought"}
    assert [line.symbol for line in part_of(rows, names, search="thought").lines] == ["S0042"]
    assert [line.symbol for line in part_of(rows, names, search=" s0042 ").lines] == ["S0042"]
    last = part_of(rows, names, page=1_000_000)
    assert (last.page, last.pages, len(last.lines), last.found, last.total) == (100, 100, ROWS, 5_000, 5_000)
    assert part_of(rows, names, search="nothing").lines == ()


def test_the_watch_list_is_sorted_by_what_is_asked():
    rows = [row("A", p50=0.01, change=None), row("B", p50=0.03, change=0.2), row("C", p50=None, change=0.1)]
    assert [line.symbol for line in part_of(rows, order="forecast").lines] == ["B", "A", "C"]
    assert [line.symbol for line in part_of(rows, order="change").lines] == ["B", "C", "A"]


def test_what_needs_attention_is_listed_the_most_pressing_first():
    rows = [row("OK"), row("OLD", sessions_old=2), row("NONE", forecast_id=None), row("OFF", band=NARROW)]
    shown = part_of(rows)
    assert [(line.symbol, line.reason.split(",")[0]) for line in shown.attention] == [
        ("OLD", "no bar for 2 sessions"),
        ("NONE", "no forecast"),
        ("OFF", "band held 57 % (51–62 %"),
    ]
    assert [line.symbol for line in shown.lines if line.is_stale] == ["OLD"]


@pytest.mark.parametrize(
    ("asked", "day", "earlier", "later", "position"),
    [
        (None, None, DAYS[2], None, 3),
        (DAYS[3], None, DAYS[2], None, 3),
        (date(2013, 5, 1), None, DAYS[2], None, 3),
        (DAYS[2], DAYS[2], DAYS[1], None, 2),
        (date(2012, 12, 30), DAYS[2], DAYS[1], None, 2),
        (DAYS[1], DAYS[1], DAYS[0], DAYS[2], 1),
        (DAYS[0], DAYS[0], None, DAYS[1], 0),
        (date(2012, 1, 1), date(2012, 1, 1), None, DAYS[0], 0),
    ],
)
def test_the_session_looked_back_to_and_its_neighbours(asked, day, earlier, later, position):
    choice = as_of_choice(DAYS, asked, NOW)
    assert (choice.day, choice.earlier, choice.later, choice.position) == (day, earlier, later, position)


def bars(prices: list[float], traded: float | None = None) -> list[HistoryBar]:
    return [
        HistoryBar(
            session=day, event_time=close_of(day), known_time=close_of(day), known_basis=None, open=None, high=None,
            low=None, close=price, price_traded=traded if day == DAYS[-1] else None, volume=None,
        )
        for day, price in zip(DAYS, prices, strict=True)
    ]  # fmt: skip


def close_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 21, tzinfo=UTC)


def forecast(day: date, identifier: str, p50: float = 0.0) -> HistoryForecast:
    return HistoryForecast(
        forecast_id=identifier, kind="scheduled", event_time=close_of(day), known_time=close_of(day),
        target_session=day + timedelta(1), model_name="blend", model_version="1", regime="low_volatility_uptrend",
        p10=-0.1, p50=p50, p90=0.1, reference_price=100.0, price_p10=90.0, price_p50=100.0, price_p90=110.0,
        is_degraded=False,
    )  # fmt: skip


def test_the_chart_is_scaled_to_the_price_as_traded_and_its_bands_with_it():
    ends = dict(zip(map(close_of, DAYS), [*map(close_of, DAYS[1:]), datetime(2013, 1, 2, 21, tzinfo=UTC)], strict=True))
    outcome = HistoryOutcome(
        forecast_id="old", kind="scheduled", event_time=close_of(DAYS[1]), known_time=close_of(DAYS[2]),
        model_name="blend", regime="x", p10=-0.1, p50=0.0, p90=0.1, realised_return=0.2, is_inside=False,
        is_direction_hit=None, pinball_loss=0.1, naive_loss=None,
    )  # fmt: skip
    made = [forecast(DAYS[1], "old"), forecast(DAYS[3], "first"), forecast(DAYS[3], "new", p50=0.05)]
    chart = price_chart(bars([10.0, 11.0, 12.0, 20.0], traded=40.0), made, [outcome], ends, "these forecasts")
    assert [point.value for point in chart.closes] == [20.0, 22.0, 24.0, 40.0]
    assert chart.ahead is not None
    assert (chart.ahead.start, chart.ahead.low, chart.ahead.middle) == (40.0, 36.0, pytest.approx(42.0))
    assert [(ghost.start, ghost.inside) for ghost in chart.ghosts] == [(22.0, False)]
    assert chart.caption.endswith("80 % bands of these forecasts: 0 of 1 held the outcome.")


def test_the_card_of_a_forecast_says_what_the_endpoint_alone_knows_only_where_it_did():
    card = forecast_card(forecast(DAYS[3], "f"), record(), None)
    assert (card.confidence, card.outlook, card.price, card.band.badge.kind) == ("–", "", "100.00", "as_promised")
    assert card.band_of_price.badge == card.band.badge


def test_accuracy_shows_bad_skill_as_large_as_good_and_names_chance():
    lines = accuracy_lines(record(FEW, NO_SKILL), [record(model="ridge"), record(band_record(0, 0, 0, 1), model="no")])
    assert [line.group for line in lines] == ["answered forecasts", "ridge, walk-forward"]
    assert (lines[0].skill, lines[0].interval) == ("–", "")
    assert (lines[1].skill, lines[1].skill_sign, lines[1].remark) == ("−1.2 %", -1, "chance alone could explain it")


def test_records_are_listed_the_worst_first():
    known = record().overall
    better = GroupRecord(group="better", band=GOOD, skill=SKILL.model_copy(update={"skill": 0.1}))
    few = GroupRecord(group="few", band=FEW, skill=NO_SKILL)
    assert [line.group for line in record_lines([better, few, known])] == ["all", "better", "few"]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"is_baseline": True}, "baseline"),
        ({"beats_best_baseline": True}, "beats it, chance ruled out"),
        ({"gain": 0.01}, "chance alone could explain it"),
        ({"gain": -0.01}, "does not beat it"),
    ],
)
def test_the_verdict_on_a_model_in_words(changes, verdict):
    values = {
        "model": "ridge", "experiment": "e", "horizon_sessions": 1, "known_time": NOW, "rows": 10,
        "pinball_loss": 0.005, "best_baseline": "har", "is_baseline": False, "gain": 0.0, "gain_t": None,
        "p_value": None, "beats_best_baseline": False, "coverage": 0.8, "hit_rate": None, "champion_version": None,
    }  # fmt: skip
    (line,) = model_lines([HistoryModel(**(values | changes))], 1, "1 session")
    assert line.verdict == verdict
    assert model_lines([HistoryModel(**values)], 5, "5 sessions") == ()


def test_strategies_tell_what_is_in_force_now_first_and_how_far_the_evidence_is():
    def decided(regime, e_value, day):
        return HistorySelection(
            regime=regime, event_time=close_of(day), known_time=close_of(day), chosen="equal_weight", runner_up="ridge",
            weights={"naive": 0.5, "ridge": 0.5}, probabilities={"naive": 0.4, "ridge": 0.6}, confidence=0.5,
            e_value=e_value, sessions=3, reason="why",
        )  # fmt: skip

    regime = HistoryRegime(
        event_time=NOW, known_time=NOW, regime="b", volatility=0.1, trend_gap=0.0, turbulent_probability=None,
        rising_probability=None,
    )  # fmt: skip
    view = strategies_view([decided("a", 1.0, DAYS[0]), decided("b", 20.0, DAYS[1])], [regime], 20.0, [COST])
    assert [(choice.regime, choice.is_now, choice.evidence_share) for choice in view.choices] == [
        ("b", True, 1.0),
        ("a", False, 0.0),
    ]
    assert view.choices[0].evidence == "20 of 20 needed"
    assert [choice.cost for choice in view.choices] == [
        "−1.5 bp a session (−3 … 0.5, n = 40), chance alone could explain it",
        "–",
    ]
    assert view.chart["series"][1] == {"name": "ridge", "values": [0.6]}
    assert view.reviews == (("2012-12-27", "40.0 %", "60.0 %"),)


def test_a_table_is_stale_where_a_row_was_due():
    states = [TableState("bars", "clean", "x", is_due_each_close=due, rows=1, last=NOW, closes_old=2) for due in (1, 0)]
    assert [line.is_stale for line in freshness_lines(states)] == [True, False]


def test_times_to_answer_are_printed_in_milliseconds():
    one = HistoryLatency(kind="served", forecasts=1_200, median_ms=1.2345, p95_ms=1_204.4, last_made_at=NOW)
    (line,) = latency_lines([one])
    assert (line.kind, line.forecasts, line.median, line.p95) == ("served", "1,200", "1.23 ms", "1,204 ms")
    assert line.last == "2012-12-31 21:00 UTC"


def test_findings_of_drift_come_before_the_others():
    def found(subject, p_value, *, is_drifted):
        return HistoryDrift(
            subject=subject, aspect="level", event_time=NOW, known_time=NOW, statistic=1.0, p_value=p_value,
            adjusted_p_value=p_value, is_drifted=is_drifted, method="m",
        )  # fmt: skip

    lines = drift_lines([found("a", 0.5, is_drifted=False), found("b", 0.01, is_drifted=True)])
    assert [(line.subject, line.verdict) for line in lines] == [("b", "drifted"), ("a", "no drift")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-2.5, "−2.5"),
        (1e12, "1,000,000,000,000"),
        (0.00001234, "1.234e−05"),
        (None, "–"),
        (9_999.0, "9999"),
    ],
)
def test_numbers_are_printed(value, text):
    assert formats.number(value) == text
