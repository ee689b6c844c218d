"""The record of past calls as it was known, and recommendations on disk, in the lake, and of whoever asked."""

import math
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from lake.errors import LogError, NotReadyError
from lake.market import DEMO
from lake.tables import CALIBRATIONS, FORECASTS, OUTCOMES, RECOMMENDATIONS
from serving import api
from serving.access import keys
from serving.advice import AdviceReasons, Occasion, advice_for, advise, answer_in, answer_of, record_of, row_of
from serving.forecast_log import user_data
from serving.history import KnownTables, calls_of
from serving.recommendation_log import (
    asker_of,
    drain_recommendations,
    log_recommendation,
    recommendation_log_path,
    recommendation_of,
    recommendations_about,
    recommendations_asked_with,
)
from support.advice import AS_OF, question

CONTEXT = api.PortfolioContext(current_position=0, equity=100_000, risk_tolerance="moderate")


def advised(place, **changes):
    """Row of a recommendation on a forecast of its own, `place` days before the last one."""
    at = AS_OF - timedelta(days=place)
    asked = question(forecast_id=f"{place:032x}", as_of=at, **changes)
    answer = answer_of(asked, advise(asked), AdviceReasons(), Occasion(DEMO, at, CONTEXT))
    return row_of(asked, answer, at)


def came(place, realised, known):
    return {
        "forecast_id": f"{place:032x}", "event_time": known, "known_time": known, "realised_return": realised,
        "error": 0.0, "pinball_loss": 0.0, "is_covered": True, "is_direction_hit": True,
    }  # fmt: skip


def store(lake, settings, rows, outcomes):
    for row in rows:
        log_recommendation(settings, row)
    drain_recommendations(lake, settings)
    lake.merge(OUTCOMES, pl.DataFrame(outcomes, schema=OUTCOMES.schema, orient="row"))


def test_an_outcome_that_became_known_later_is_not_counted(lake, settings):
    """40 calls; of the first 35 the outcome was known in time, and 28 of these came true."""
    rows = [advised(place) for place in range(40)]
    outcomes = [
        came(place, 0.01 if place % 5 else -0.01, AS_OF + timedelta(days=0 if place < 35 else 1)) for place in range(40)
    ]
    store(lake, settings, rows, outcomes)
    record = record_of(KnownTables(lake), 5, AS_OF, 0.63)
    assert (record.source, record.bucket.outcomes, record.bucket.sessions) == ("advice", 35, 35)
    assert record.bucket.came_true == 28 / 35
    assert record.bucket.said == pytest.approx(0.63)
    later = record_of(KnownTables(lake), 5, AS_OF + timedelta(days=1), 0.63)
    assert later.bucket.outcomes == 40
    assert record_of(KnownTables(lake), 1, AS_OF, 0.63).source == "none", "another horizon has a record of its own"
    empty = record_of(KnownTables(lake), 5, AS_OF, 0.55)
    assert (empty.bucket.outcomes, empty.is_enough) == (0, False)


def test_what_is_asked_many_times_is_one_call_and_few_calls_are_no_record(lake, settings):
    once = [advised(place) for place in range(20)]
    again = [row | {"recommendation_id": f"again-{number}"} for number, row in enumerate(once)]
    store(lake, settings, [*once, *again], [came(place, 0.01, AS_OF) for place in range(20)])
    assert calls_of(KnownTables(lake), 5, AS_OF).rows.is_empty(), "20 are too few, and nothing is replayed"
    more = [advised(place) for place in range(20, 31)]
    store(lake, settings, more, [came(place, -0.01, AS_OF) for place in range(20, 31)])
    calls = calls_of(KnownTables(lake), 5, AS_OF)
    assert (calls.source, calls.rows.height, calls.rows["is_hit"].sum()) == ("advice", 31, 20)


def test_a_call_of_a_fall_comes_true_by_a_fall(lake, settings):
    fall = {"p10": -0.1, "p50": -0.02, "p90": 0.06}
    rows = [advised(place, **fall) for place in range(30)] + [advised(40, p50=0.0, confidence=0.5)]
    outcomes = [came(place, -0.01 if place < 10 else 0.01, AS_OF) for place in (*range(30), 40)]
    store(lake, settings, rows, outcomes)
    calls = calls_of(KnownTables(lake), 5, AS_OF)
    assert (calls.rows.height, calls.rows["is_hit"].sum()) == (30, 10), "a forecast without direction is no call"


def test_what_was_answered_is_the_row_in_the_lake_and_leads_to_its_forecast(lake, settings):
    row = advised(3)
    log_recommendation(settings, row, key_id="k1")
    found = recommendation_of(lake, settings, row["recommendation_id"])
    assert found == row
    assert drain_recommendations(lake, settings).added == 1
    again = drain_recommendations(lake, settings)
    assert (again.added, again.skipped, again.details["reason"]) == (0, True, "no recommendation waits")
    stored = lake.read(RECOMMENDATIONS).to_dicts()
    assert stored == [row]
    assert answer_in(stored[0]).recommendation.recommendation_id == row["recommendation_id"]
    assert recommendations_about(lake, settings, row["forecast_id"]) == [row]
    assert recommendations_about(lake, settings, "0" * 32) == []


def test_a_recommendation_stays_after_its_log_let_it_go(lake, settings):
    row = advised(3)
    log_recommendation(settings, row, key_id="k1")
    late = row["made_at"] + timedelta(hours=settings.log_retention_hours + 1)
    drain_recommendations(lake, settings, late)
    drain_recommendations(lake, settings, late)
    assert recommendation_of(lake, settings, row["recommendation_id"]) == row
    assert recommendations_asked_with(lake, settings, "k1") == [row], "who asked is kept"
    assert asker_of(settings, row["recommendation_id"]) == "k1"


def test_what_a_key_asked_for_is_handed_over_and_forgotten_with_it(settings):
    from lake.store import Lake

    key, _ = keys.create(settings, "desk", "predict", "unlimited", by="tests")
    other, _ = keys.create(settings, "other", "predict", "unlimited", by="tests")
    mine, theirs = advised(1), advised(2)
    log_recommendation(settings, mine, key_id=key.id)
    log_recommendation(settings, theirs, key_id=other.id)
    drain_recommendations(Lake.open(settings), settings)
    found = user_data.export(settings, key.id, by="tests")["recommendations"]
    assert [each["recommendation_id"] for each in found] == [mine["recommendation_id"]]
    assert (found[0]["equity"], found[0]["action"]) == (100_000.0, "buy")
    assert user_data.delete(settings, key.id, by="tests").recommendations == 1
    path = recommendation_log_path(settings)
    held = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert key.id.encode() not in held
    assert other.id.encode() in held
    assert asker_of(settings, mine["recommendation_id"]) == ""
    assert recommendation_of(Lake.open(settings), settings, mine["recommendation_id"]) is not None, "the row stays"


def test_a_log_that_cannot_be_written_says_so(settings):
    recommendation_log_path(settings).mkdir(parents=True)
    with pytest.raises(LogError, match=r"The recommendation log .* cannot be used"):
        log_recommendation(settings, advised(1))


FORECAST_ROW = {
    "forecast_id": "a" * 32, "kind": "scheduled", "symbol": "AAPL", "event_time": AS_OF, "known_time": AS_OF,
    "made_at": AS_OF, "horizon_sessions": 1, "p10": -0.02, "p50": 0.01, "p90": 0.04, "reference_price": 100.0,
    "model_name": "blend", "model_version": "1", "model_digest": "d", "strategy": "naive",
    "regime": "low_volatility_uptrend", "feature_table_versions": "{}", "feature_hash": "h", "latency_ms": 1.0,
    "degraded": False, "price_basis": "as_traded", "currency": "USD", "target_session": None,
}  # fmt: skip


def test_advice_without_a_service_reads_what_was_known_and_names_what_it_lacks(lake, tmp_path):
    later = AS_OF + timedelta(days=3)
    other = FORECAST_ROW | {"forecast_id": "b" * 32, "event_time": later, "known_time": later, "made_at": later}
    lake.merge(FORECASTS, pl.DataFrame([FORECAST_ROW, other], schema=FORECASTS.schema, orient="row"))
    (answer,), without = advice_for(lake, ["AAPL", "KO"], CONTEXT, AS_OF, home=tmp_path)
    assert answer.prediction_id == "a" * 32, "the later forecast was not known"
    assert answer.recommendation.reason == "uncalibrated", "no calibration was in force"
    assert [each.symbol for each in without] == ["KO"]
    with pytest.raises(NotReadyError, match="nothing to advise on: KO"):
        advice_for(lake, ["KO"], CONTEXT, AS_OF, home=tmp_path)
    values = {
        "market": DEMO.index, "event_time": AS_OF, "known_time": AS_OF, "regimes": ["low_volatility_uptrend"],
        "horizons": [1],
        "lower": [1.0], "upper": [1.0], "trust": [0.5], "sessions": [100.0],
    }  # fmt: skip
    lake.merge(CALIBRATIONS, pl.DataFrame([values], schema=CALIBRATIONS.schema, orient="row"))
    (answer,), _ = advice_for(lake, ["AAPL"], CONTEXT, AS_OF, home=tmp_path)
    told = answer.recommendation
    assert told.reason == "not_enough_outcomes"
    said = 0.5 * (1 + math.erf(1.2815515655446004 * 0.01 / 0.03 / math.sqrt(2)))
    assert told.confidence == pytest.approx(0.5 + 0.5 * (said - 0.5))
    assert told.gate.state == "unknown"
    assert "running service" in (told.no_reasons_because or "")


def test_the_answer_is_about_the_book_that_was_named():
    asked = question(position=7.0)
    context = api.PortfolioContext(current_position=7, equity=100_000, risk_tolerance="moderate")
    answer = answer_of(asked, advise(asked), AdviceReasons(), Occasion(DEMO, AS_OF, context))
    row = row_of(replace(asked), answer, AS_OF)
    assert (row["current_position"], row["equity"], row["risk_tolerance"]) == (7.0, 100_000.0, "moderate")
    assert row["target_position"] == row["current_position"] + row["quantity"]
