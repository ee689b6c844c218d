"""A response template that is filled in gives the text that composing the answer anew gives, letter by letter."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.tables import FORECASTS
from serving.forecast_log import row_as_json
from serving.predict import Question, compose, forecast
from serving.predict.answers import AnswerTerms
from serving.predict.response_template import AnswerTime, ResponseTemplate, ResponseTemplates
from serving.receipts import digest_of, is_intact, opened, row_digest
from support.properties import examples

INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@pytest.fixture(scope="module")
def forecasts(rows, champions):
    made = forecast(rows, champions)
    return [made.of_row(place) for place in range(len(rows))]


@given(made_at=INSTANTS, place=st.integers(0, 20), horizon=st.sampled_from([1, 5]))
@examples(15)
def test_every_letter_is_as_if_it_were_composed_anew(rows, champions, forecasts, made_at, place, horizon):
    row, blended = rows[place], forecasts[place].answered
    now = row.as_of + timedelta(days=4)
    question = Question([row.symbol], horizon, key_id="k", correlation_id="c")
    entry = ResponseTemplate.of(row, blended, champions, horizon, now).filled(
        question, AnswerTime(made_at, now), "served"
    )
    identifier = entry.row["forecast_id"]
    assert (
        entry.answer
        == compose(entry.row, AnswerTerms.of(row, blended.members[champions.horizons.index(horizon)])).model_dump_json()
    )
    assert set(entry.row) == set(FORECASTS.names)
    quantiles = blended.quantiles[champions.horizons.index(horizon)].tolist()
    assert [entry.row[name] for name in ("p10", "p50", "p90")] == quantiles
    names = ("kind", "made_at", "known_time", "event_time", "horizon_sessions", "degraded")
    assert [entry.row[name] for name in names] == ["served", made_at, now, row.as_of, horizon, False]
    assert json.loads(entry.row_text) == json.loads(row_as_json(entry.row))
    content, seal = opened(entry.receipt)
    assert is_intact(content, seal)
    receipt = json.loads(content)
    assert (receipt["row"], receipt["answer"]) == (row_digest(entry.row), digest_of(entry.answer))
    assert (receipt["forecast_id"], receipt["correlation_id"], entry.key_id) == (identifier, "c", "k")


def test_each_answer_has_an_id_of_its_own(rows, champions, forecasts):
    template = ResponseTemplate.of(rows[0], forecasts[0].answered, champions, 1, rows[0].as_of)
    moment = AnswerTime(datetime(2013, 1, 2, tzinfo=UTC), rows[0].as_of)
    entries = [template.filled(Question(["AAPL"], 1), moment, "served") for _ in range(100)]
    assert len({entry.row["forecast_id"] for entry in entries}) == 100
    assert all(entry.row["forecast_id"] in entry.answer for entry in entries)


def test_it_is_made_once_and_anew_when_the_market_moves_on(rows, champions, forecasts):
    row, now = rows[0], rows[0].as_of
    first = ResponseTemplates.of(forecasts[0], row, champions, 1, now)
    assert ResponseTemplates.of(forecasts[0], row, champions, 1, now) is first
    later = ResponseTemplates.of(forecasts[0], row, champions, 1, now + timedelta(days=7))
    assert '"is_stale":false' in first.answered.answer[2]
    assert '"is_stale":true' in later.answered.answer[2]
    assert ResponseTemplates.of(forecasts[0], row, champions, 5, now).answered.row["horizon_sessions"] == 5


def test_what_is_logged_in_the_shadow_is_nobodys(rows, champions, forecasts):
    template = ResponseTemplate.of(rows[0], forecasts[0].answered, champions, 1, rows[0].as_of)
    moment = AnswerTime(datetime(2013, 1, 2, tzinfo=UTC), rows[0].as_of)
    entry = template.filled(Question(["AAPL"], 1, key_id="somebody"), moment, "shadow")
    assert (entry.key_id, entry.row["kind"], json.loads(entry.row_text)["kind"]) == ("", "shadow", "shadow")
