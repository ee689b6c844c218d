"""A former name of a symbol is answered for the symbol, and told; unknown names are all named, near ones suggested."""

import json

import pytest

from feature_repo.online import OnlineReader
from lake.names import canonical_symbol
from lake.universe import SYMBOLS
from serving.api import FeaturesAnswer, PredictAnswer
from serving.deployment import Champions
from serving.forecast_log import ForecastLog, LogReader, open_log, waiting_rows
from serving.predict import Predictor
from serving.web.app import build_app
from support.clients import client_of

PUBLIC = "/api/v1/public"
PREDICT, BATCH = f"{PUBLIC}/predict", f"{PUBLIC}/predict/batch"
TOLD = {
    "asked_symbol": "FB",
    "changed_on": "2022-06-09",
    "sentence": "FB is META since 2022-06-09 (Facebook became Meta Platforms).",
}


@pytest.fixture
def predictor(home, tmp_path):
    own = home.settings.model_copy(update={"home": tmp_path})
    made = Predictor(
        OnlineReader(home.settings), Champions(home.settings), ForecastLog.open(own), LogReader(own), home.clock
    )
    yield made
    made.close()


@pytest.fixture
def client(predictor):
    return client_of(build_app(predictor))


def ask(client, symbol):
    return client.post(PREDICT, json={"symbol": symbol, "horizon_sessions": 1})


def test_a_former_name_is_answered_and_told(client, predictor):
    answer = ask(client, "FB")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["symbol"], body["asked"]) == ("META", TOLD)
    assert PredictAnswer.model_validate_json(answer.content).asked.sentence == TOLD["sentence"]
    assert ask(client, "META").json()["prediction"] == body["prediction"]
    assert "asked" not in ask(client, "META").json()


def test_the_log_holds_the_forecast_of_the_symbol_alone(client, predictor):
    answer = ask(client, "FB")
    (waiting,) = waiting_rows(open_log(predictor.log.path), 10)
    sent = answer.json()
    del sent["asked"]
    assert json.loads(waiting.answer) == sent
    found = client.get(f"{PUBLIC}/predictions/{sent['prediction_id']}")
    assert found.json() == sent


def test_a_later_name_is_answered_too(client):
    body = ask(client, "GOOGL").json()
    assert (body["symbol"], body["asked"]["changed_on"]) == ("GOOG", "2014-04-03")


def test_a_batch_answers_each_name_that_was_asked(client):
    answer = client.post(BATCH, json={"symbols": ["FB", "AAPL", "META"], "horizon_sessions": 1}).json()
    assert [each["symbol"] for each in answer["predictions"]] == ["META", "AAPL", "META"]
    assert [each.get("asked") for each in answer["predictions"]] == [TOLD, None, None]


@pytest.mark.parametrize("route", ["features/latest", "regime", "strategy", "predictions/latest"])
def test_look_ups_answer_a_former_name(client, route):
    ask(client, "META")
    answer = client.get(f"{PUBLIC}/{route}/FB")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["symbol"], answer.json()["asked"]) == ("META", TOLD)
    assert "asked" not in client.get(f"{PUBLIC}/{route}/META").json()


def test_an_answer_with_an_asked_name_is_read_by_its_type(client):
    assert FeaturesAnswer.model_validate_json(client.get(f"{PUBLIC}/features/latest/FB").content).asked is not None


def test_a_batch_names_every_symbol_that_there_is_not(client):
    answer = client.post(BATCH, json={"symbols": ["KO", "TSLA", "NFLX", "APPL"], "horizon_sessions": 1})
    assert answer.status_code == 404
    problem = answer.json()
    assert problem["detail"].startswith("There is no symbol 'TSLA', and no 'NFLX', 'APPL'.")
    assert problem["nearest"] == ["AAPL"]


def test_a_far_name_is_no_suggestion(client):
    assert ask(client, "TSLA").json()["nearest"] == []


def test_symbols_are_listed_with_their_other_names(client):
    listed = {each["symbol"]: each["other_names"] for each in client.get(f"{PUBLIC}/symbols").json()["symbols"]}
    assert {symbol: names for symbol, names in listed.items() if names} == {"META": ["FB"], "GOOG": ["GOOGL"]}
    assert set(listed) == set(SYMBOLS)


@pytest.mark.parametrize("symbol", ["7203.T", "BTC-USD", "ES=F", "BRK.B", "^GSPC", "M&M.NS", "A B"])
def test_symbols_of_other_venues_pass_everywhere(client, symbol):
    """They are no symbols of this market, which is what each face says of them."""
    assert canonical_symbol(symbol) == symbol
    assert ask(client, symbol).json()["type"] == "/problems/unknown-symbol"
    assert client.get(f"{PUBLIC}/predictions/latest/{symbol}").json()["type"] == "/problems/unknown-symbol"
    assert client.get(f"{PUBLIC}/regime/{symbol}").json()["type"] == "/problems/unknown-symbol"
