"""Correlation ids and log lines: from the request through answer, log and receipt, and never with a secret."""

import asyncio
import json
import logging
import re
from contextlib import contextmanager

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from feature_repo.online import OnlineReader
from feature_repo.online.redis_server import redis_url
from lake.settings import Settings
from lake.store import Lake
from lake.tables import RECEIPTS
from serving.access import local_key
from serving.access.keys import create
from serving.api import ADVICE_DISCLAIMER, DISCLAIMER
from serving.deployment import Champions
from serving.forecast_log import ForecastLog, LogReader, drain
from serving.monitoring.json_logs import HIDDEN, JsonLines
from serving.predict import Predictor
from serving.web.app import build_app
from serving.web.http.arrival import RequestMetrics, correlation_id
from support.clients import client_of, headers_of, token_of

PREDICT = "/api/v1/public/predict"
BODY = {"symbol": "AAPL", "horizon_sessions": 1}
MADE = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def reader(home):
    return OnlineReader(home.settings)


@pytest.fixture
def predictor(home, reader, tmp_path):
    own = Settings(home=tmp_path, redis_url=redis_url(home.settings))
    made = Predictor(reader, Champions(home.settings), ForecastLog.open(own), LogReader(own), home.clock)
    yield made
    made.close()


@pytest.fixture
def client(predictor):
    return client_of(build_app(predictor, configured=Settings(access_log="all")))


@pytest.fixture
def address(predictor, served):
    with served(build_app(predictor)) as http:
        yield http.replace("http://", "ws://") + "/ws/v1/predictions"


@contextmanager
def lines():
    """What is logged while a block lasts, as the service's own formatter writes it."""
    written: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record):
            written.append(self.format(record))

    keep = Keep()
    keep.setFormatter(JsonLines())
    root = logging.getLogger()
    before = root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        root.removeHandler(keep)
        root.setLevel(before)


def accessed(written):
    said = [json.loads(line) for line in written]
    return [line for line in said if line["logger"] == "quantlake.access_log"]


def scope(**headers):
    return {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_correlation_id": "order-17"}, "order-17"),
        ({"x_correlation_id": "order-17", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, "order-17"),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
    ],
)
def test_the_client_s_id_is_taken(headers, expected):
    assert correlation_id(scope(**headers)) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_correlation_id": ""},
        {"x_correlation_id": "a" * 65},
        {"x_correlation_id": 'a"b'},
        {"x_correlation_id": "a\nb"},
        {"x_correlation_id": "ql_key_secret"},
        {"x_correlation_id": "eyJhbGciOi.J9.x"},
        {"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"},
        {"traceparent": "00-zz-b7ad6b7169203331-01"},
    ],
)
def test_what_is_no_id_gets_a_new_one(headers):
    first, second = correlation_id(scope(**headers)), correlation_id(scope(**headers))
    assert MADE.fullmatch(first)
    assert first != second


def test_one_id_stands_in_the_answer_the_log_and_the_receipt_in_the_lake(client, predictor, tmp_path):
    with lines() as written:
        answer = client.post(PREDICT, json=BODY, headers={"x-correlation-id": "order-17"})
    assert answer.status_code == 200
    assert answer.headers["x-correlation-id"] == "order-17"
    forecast_id = answer.json()["prediction_id"]
    (line,) = accessed(written)
    assert line["correlation_id"] == "order-17"
    assert line["forecast_ids"] == [forecast_id]
    assert (line["method"], line["route"], line["status"]) == ("POST", PREDICT, 200)
    assert line["key"].startswith("key:")
    assert json.loads(predictor.logged.get(forecast_id).receipt)["correlation_id"] == "order-17"
    lake = Lake(tmp_path / "tables")
    drain(lake, predictor.logged.configured)
    (content,) = lake.read(RECEIPTS)["content"]
    assert json.loads(content)["correlation_id"] == "order-17"


def test_every_forecast_of_a_batch_carries_it_and_the_line_counts_them(client, predictor):
    with lines() as written:
        answer = client.post(
            f"{PREDICT}/batch",
            json={"symbols": ["AAPL", "IBM"], "horizon_sessions": 1},
            headers={"x-correlation-id": "b"},
        )
    ids = [one["prediction_id"] for one in answer.json()["predictions"]]
    assert [json.loads(predictor.logged.get(one).receipt)["correlation_id"] for one in ids] == ["b", "b"]
    (line,) = accessed(written)
    assert (line["forecasts"], line["forecast_ids"]) == (2, ids)


def test_a_problem_says_its_id_in_the_document_the_header_and_the_log(client):
    with lines() as written:
        answer = client.post(PREDICT, json=BODY | {"symbol": "NOPE"})
    said = answer.json()["correlation_id"]
    assert MADE.fullmatch(said)
    assert answer.headers["x-correlation-id"] == said
    (line,) = accessed(written)
    assert (line["correlation_id"], line["status"], line["problem"]) == (said, 404, "unknown-symbol")


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/docs", "/metrics"])
def test_every_answer_has_an_id(client, path):
    assert MADE.fullmatch(client.get(path).headers["x-correlation-id"])


def test_a_websocket_has_one_too(address, predictor):
    headers = headers_of(predictor.logged.configured) | {"x-correlation-id": "w"}
    with connect(address, additional_headers=headers) as socket:
        assert socket.response.headers["x-correlation-id"] == "w"
        socket.send("{}")
        assert json.loads(socket.recv(20))["problem"]["correlation_id"] == "w"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, additional_headers={"authorization": "no"})
    answer = refused.value.response
    assert json.loads(answer.body)["correlation_id"] == answer.headers["x-correlation-id"]


@pytest.mark.parametrize(
    ("access_log", "slow_ms", "expected"),
    [("none", 1, 0), ("problems", 60_000, 1), ("problems", 0.001, 2), ("all", 60_000, 2)],
)
def test_which_requests_get_a_line_is_a_setting(access_log, slow_ms, expected):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": int(scope["path"][1:]), "headers": []})
        await send({"type": "http.response.body", "body": b""})

    measured = RequestMetrics(app, access_log, slow_ms)

    async def with_state(scope, receive, send):
        scope["state"] = {}
        await measured(scope, receive, send)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://127.0.0.1") as asking:
            for status in (200, 404):
                await asking.get(f"/{status}")

    with lines() as written:
        asyncio.run(ask())
    assert len(accessed(written)) == expected


def everywhere(client, secret):
    """Send a secret in every place of a request in which a client could put one by mistake."""
    for method, path, options in (
        ("GET", f"/api/v1/public/predictions/{secret}", {}),
        ("GET", f"/api/v1/public/regime/{secret}", {}),
        ("GET", f"/{secret}", {}),
        ("GET", f"/api/v1/public/symbols?key={secret}&token={secret}", {}),
        ("GET", "/api/v1/public/symbols", {"headers": {"x-api-key": secret}}),
        ("GET", "/api/v1/public/symbols", {"headers": {"authorization": f"Bearer {secret}x"}}),
        ("GET", "/api/v1/public/symbols", {"headers": {"authorization": f"Basic {secret}"}}),
        ("GET", "/healthz", {"headers": {"x-correlation-id": secret, "traceparent": secret}}),
        ("GET", "/healthz", {"headers": {"user-agent": secret, "referer": secret, "cookie": f"key={secret}"}}),
        ("POST", PREDICT, {"json": BODY | {"symbol": secret[:32]}}),
        ("POST", PREDICT, {"json": {secret: 1}}),
        ("POST", PREDICT, {"content": secret, "headers": {"content-type": "application/json"}}),
        ("POST", PREDICT, {"content": b"{}", "headers": {"content-type": secret}}),
        ("POST", f"{PREDICT}/batch", {"json": {"symbols": [secret[:32]], "horizon_sessions": 1}}),
        ("POST", "/api/v1/internal/models/rollback", {"json": {"model": secret}}),
    ):
        yield client.request(method, path, **options).status_code


def test_a_key_or_token_in_any_place_leaves_no_trace_in_the_log(client, predictor):
    settings = predictor.logged.configured
    _, key = create(settings, "desk", "read", "standard", by="test")
    secrets = [local_key(settings), token_of(settings), key]
    for secret in secrets:
        with lines() as written:
            assert len(list(everywhere(client, secret))) == 15
        assert len(accessed(written)) == 15
        hidden = secret.rpartition("_")[2] if secret.startswith("ql_") else secret.rpartition(".")[2]
        for part in (secret, hidden, hidden[:20]):
            assert not [line for line in written if part in line], part


def test_the_formatter_hides_what_a_library_would_let_slip(settings):
    key = local_key(settings)
    with lines() as written:
        logging.getLogger("library").warning("called with %s", key)
        try:
            int(f"Bearer {token_of(settings)}")
        except ValueError:
            logging.getLogger("library").exception("failed", extra={"header": key})
    assert not [line for line in written if key in line or "eyJ" in line]
    assert sum(line.count(HIDDEN) for line in written) >= 3


def test_without_the_formatter_s_care_the_same_would_be_seen(settings, monkeypatch):
    monkeypatch.setattr("serving.monitoring.json_logs.SECRET", re.compile("nothing like that"))
    key = local_key(settings)
    with lines() as written:
        logging.getLogger("library").warning("called with %s", key)
    assert key in written[0]


def test_a_line_is_one_object_whatever_is_said():
    with lines() as written:
        logging.getLogger("quantlake.test").error('a "quoted"\nline', extra={"at": {1: object}, "event_of": None})
    (line,) = [line for line in written if "quoted" in line]
    assert "\n" not in line
    said = json.loads(line)
    assert list(said)[:4] == ["time", "level", "logger", "event"]
    assert said["level"] == "error"


def references(schema, model):
    """Properties of a model of the description, those of its parts by name included."""
    found = model
    while "$ref" in found:
        found = schema["components"]["schemas"][found["$ref"].rpartition("/")[2]]
    return [references(schema, one)[0] for one in found["anyOf"]] if "anyOf" in found else [found]


def test_every_public_answer_carries_the_disclaimer(client):
    """By the description of the endpoint; problems, health and metrics say nothing about the market."""
    schema = client.get("/openapi.json").json()
    seen = 0
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            content = operation["responses"].get("200", {}).get("content", {}).get("application/json")
            if not path.startswith("/api/v1/public") or content is None:
                continue
            for model in references(schema, content["schema"]):
                is_advice = "/recommend" in path or path.endswith("/explain/recommendation")
                expected = ADVICE_DISCLAIMER if is_advice else DISCLAIMER
                assert model["properties"]["disclaimer"]["default"] == expected, path
                seen += 1
    assert seen >= 11


def test_updates_over_a_websocket_carry_it(address, predictor):
    with connect(address, additional_headers=headers_of(predictor.logged.configured)) as socket:
        socket.send('{"action": "subscribe", "symbols": ["AAPL"]}')
        assert json.loads(socket.recv(20))["action"] == "subscribe"
        predictor.predict(["AAPL"], 1)
        assert json.loads(socket.recv(20))["prediction"]["disclaimer"] == DISCLAIMER
