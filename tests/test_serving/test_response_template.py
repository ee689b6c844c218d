"""A draft that is filled in says what composing the answer anew would, letter by letter."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from serving.forecast_log.writing import row_as_json
from serving.predict.answers import compose, log_row
from serving.predict.forecasting import forecast
from serving.predict.predictor import Question
from serving.predict.response_template import AnswerTime, ResponseTemplate, ResponseTemplates
from serving.receipts.seals import digest_of, is_intact, opened, row_digest

INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@pytest.fixture(scope="module")
def spoken(rows, champions):
    said = forecast(rows, champions)
    return [said.of_row(place) for place in range(len(rows))]


@given(made_at=INSTANTS, place=st.integers(0, 20), horizon=st.sampled_from([1, 5]))
@hypothesis_settings(max_examples=60)
def test_every_letter_is_as_if_it_were_composed_anew(rows, champions, spoken, made_at, place, horizon):
    row, said = rows[place], spoken[place].said
    now = row.as_of + timedelta(days=4)
    question = Question([row.symbol], horizon, key_id="k", correlation_id="c")
    entry = ResponseTemplate.of(row, said, champions, horizon, now).filled(question, AnswerTime(made_at, now), "served")
    quantiles = said.quantiles[champions.horizons.index(horizon)]
    identifier = entry.row["forecast_id"]
    anew = compose(row, quantiles, said.members, prediction_id=identifier, horizon=horizon, made_at=made_at, now=now)
    assert entry.answer == anew.model_dump_json()
    assert entry.row == log_row(anew, now) | {"latency_ms": entry.row["latency_ms"], "kind": "served"}
    assert json.loads(entry.row_text) == json.loads(row_as_json(entry.row))
    content, seal = opened(entry.receipt)
    assert is_intact(content, seal)
    receipt = json.loads(content)
    assert (receipt["row"], receipt["answer"]) == (row_digest(entry.row), digest_of(entry.answer))
    assert (receipt["forecast_id"], receipt["correlation_id"], entry.key_id) == (identifier, "c", "k")


def test_each_answer_has_an_id_of_its_own(rows, champions, spoken):
    draft = ResponseTemplate.of(rows[0], spoken[0].said, champions, 1, rows[0].as_of)
    moment = AnswerTime(datetime(2013, 1, 2, tzinfo=UTC), rows[0].as_of)
    entries = [draft.filled(Question(["AAPL"], 1), moment, "served") for _ in range(100)]
    assert len({entry.row["forecast_id"] for entry in entries}) == 100
    assert all(entry.row["forecast_id"] in entry.answer for entry in entries)


def test_it_is_written_down_once_and_anew_when_the_market_moves_on(rows, champions, spoken):
    row, now = rows[0], rows[0].as_of
    first = ResponseTemplates.of(spoken[0], row, champions, 1, now)
    assert ResponseTemplates.of(spoken[0], row, champions, 1, now) is first
    later = ResponseTemplates.of(spoken[0], row, champions, 1, now + timedelta(days=7))
    assert '"is_stale":false' in first.answered.answer[2]
    assert '"is_stale":true' in later.answered.answer[2]
    assert ResponseTemplates.of(spoken[0], row, champions, 5, now).answered.row["horizon_sessions"] == 5


def test_what_is_logged_in_the_shadow_is_nobodys(rows, champions, spoken):
    draft = ResponseTemplate.of(rows[0], spoken[0].said, champions, 1, rows[0].as_of)
    moment = AnswerTime(datetime(2013, 1, 2, tzinfo=UTC), rows[0].as_of)
    entry = draft.filled(Question(["AAPL"], 1, key_id="somebody"), moment, "shadow")
    assert (entry.key_id, entry.row["kind"], json.loads(entry.row_text)["kind"]) == ("", "shadow", "shadow")
