"""The client against a real service: every method, every kind of refusal, and its patience."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lake.errors import (
    ModelError,
    NotReadyError,
    OnlineStoreError,
    OverloadedError,
    QuantlakeError,
    UnknownNameError,
)
from lake.universe import MARKET, SYMBOLS
from serving import api
from serving.access import local_key
from serving.api import problem_kinds, refusal
from serving.api.refusals import REFUSALS
from serving.client import MOST_WAIT_SECONDS, Client, RefusedError
from serving.web.app import build_app
from serving.web.http.problems import document


@pytest.fixture(scope="module")
def client(predictor_aside, served, aside):
    with served(build_app(predictor_aside)) as address, Client(address, local_key(aside)) as made:
        yield made


def test_a_forecast_comes_typed_and_can_be_looked_up(client):
    answer = client.predict("AAPL", 5)
    assert isinstance(answer, api.PredictAnswer)
    assert (answer.symbol, answer.prediction.horizon_sessions) == ("AAPL", 5)
    assert client.prediction(answer.prediction_id) == answer
    assert client.latest("AAPL", 5) == answer
    assert client.receipt(answer.prediction_id).prediction_id == answer.prediction_id


def test_a_batch_comes_typed(client):
    answer = client.predict_batch(SYMBOLS[:3])
    assert [said.symbol for said in answer.predictions] == list(SYMBOLS[:3])
    assert answer.disclaimer == api.DISCLAIMER


def test_everything_can_be_looked_up(client, weights):
    assert {entry.symbol for entry in client.symbols().symbols} == set(SYMBOLS)
    assert {model.name for model in client.status().models} == {"naive", "ridge", "lstm"}
    assert client.features_schema().tables[0].table == "features_technical"
    assert client.features("KO").features["return_1d"] is not None
    assert client.regime("KO").market == MARKET
    assert {part.name: part.weight for part in client.strategy("KO").strategies} == weights


def test_a_stream_yields_what_is_stored(client):
    updates = client.stream(["KO"])
    answers = []
    asking = threading.Timer(0.3, lambda: answers.append(client.predict("KO")))
    asking.start()
    heard = next(updates)
    asking.join()
    assert heard.symbol == "KO"
    updates.close()


def test_a_subscription_says_since_when_it_is_in_force_and_is_ended_from_another_thread(client):
    with client.subscribe(["KO", "AAPL"]) as updates:
        said = iter(updates)
        assert next(said) == api.Acknowledged(action="subscribe", symbols=2)
        made = client.predict("KO")
        assert next(said) == made
        ending = threading.Thread(target=updates.close)
        ending.start()
        assert list(said) == []
        ending.join()


def test_a_stream_of_an_unknown_symbol_is_refused(client):
    with pytest.raises(UnknownNameError, match="There is no symbol 'APPL'"):
        next(client.stream(["APPL"]))


def test_an_unknown_symbol_is_the_same_error_as_in_the_platform(client):
    with pytest.raises(UnknownNameError) as refused:
        client.predict("APPL")
    assert isinstance(refused.value, RefusedError)
    assert (refused.value.kind, refused.value.name, refused.value.nearest[0]) == ("symbol", "APPL", "AAPL")
    assert refused.value.problem.status == 404
    assert "GET /api/v1/public/symbols" in str(refused.value)


def test_without_a_key_it_is_refused(predictor_aside, served):
    with served(build_app(predictor_aside)) as address, Client(address) as unknown:
        with pytest.raises(RefusedError, match="no key") as refused:
            unknown.predict("AAPL")
        assert refused.value.problem.status == 401
        with pytest.raises(RefusedError, match="no key"):
            next(unknown.stream(["AAPL"]))


def test_names_are_sent_as_one_part_of_the_path(client):
    for name in ("../symbols", "a/b", "?", "%00"):
        with pytest.raises(RefusedError):
            client.features(name)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (problem_kinds.NOT_READY, NotReadyError),
        (problem_kinds.NO_MODEL, ModelError),
        (problem_kinds.NO_ONLINE_STORE, OnlineStoreError),
        (problem_kinds.TOO_MANY_REQUESTS, OverloadedError),
        (problem_kinds.FORBIDDEN, RefusedError),
    ],
)
def test_each_kind_of_problem_is_an_error_of_ours_with_detail_and_hint(kind, error):
    refused = refusal(document(kind, "It was so.", {"path": "/x"}))
    assert isinstance(refused, error)
    assert isinstance(refused, RefusedError)
    assert str(refused) == f"It was so. {kind.hint}"


def test_every_refusal_is_of_a_kind_that_exists():
    assert set(REFUSALS) <= {kind.type for kind in problem_kinds.KINDS}


@contextmanager
def answering(*answers):
    """A server that gives these answers in turn, the last one again and again."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            status, headers, body = answers[min(len(seen), len(answers) - 1)]
            seen.append(dict(self.headers))
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def busy(kind=problem_kinds.OVERLOADED, **headers):
    return kind.status, headers, document(kind, "Too much.", {"path": "/x"}).model_dump_json().encode()


def test_it_waits_as_long_as_the_service_says_and_asks_again(client):
    good = 200, {}, client.predict("AAPL").model_dump_json().encode()
    waited = []
    turns = busy(**{"retry-after": "2"}), busy(problem_kinds.TOO_MANY_REQUESTS, **{"retry-after": "3"}), good
    with answering(*turns) as (address, seen), Client(address, "key", sleep=waited.append) as patient:
        assert patient.predict("AAPL").symbol == "AAPL"
    assert waited == [2, 3]
    assert [headers["authorization"] for headers in seen] == ["Bearer key"] * 3


@pytest.mark.parametrize(("said", "waited"), [("1", [1, 1, 1]), ("4", [4, 4]), ("60", []), ("soon", [1, 1, 1])])
def test_its_patience_has_an_end(said, waited):
    slept = []
    with (
        answering(busy(**{"retry-after": said})) as (address, _),
        Client(address, sleep=slept.append) as impatient,
        pytest.raises(OverloadedError, match="Too much"),
    ):
        impatient.predict("AAPL")
    assert slept == waited
    assert sum(slept) <= MOST_WAIT_SECONDS


def test_what_would_fail_again_is_not_asked_again():
    never = 409, {}, document(problem_kinds.NOT_READY, "Not yet.", {"path": "/x"}).model_dump_json().encode()
    with (
        answering(never) as (address, seen),
        Client(address) as client,
        pytest.raises(NotReadyError, match="Not yet"),
    ):
        client.predict("AAPL")
    assert len(seen) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", json.dumps({"detail": "x"}).encode()])
@pytest.mark.parametrize("status", [200, 404])
def test_a_stranger_is_called_one(status, body):
    with (
        answering((status, {}, body)) as (address, _),
        Client(address) as client,
        pytest.raises(QuantlakeError, match="is not this service"),
    ):
        client.predict("AAPL")


def test_nobody_is_called_so(home):
    with Client(f"http://127.0.0.1:{home.settings.port}") as client:
        with pytest.raises(NotReadyError, match="Start it with `make serve`"):
            client.predict("AAPL")
        with pytest.raises(NotReadyError, match="Start it with `make serve`"):
            next(client.stream(["AAPL"]))
