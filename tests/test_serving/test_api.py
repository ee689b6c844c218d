"""Every route and every refusal, over the real application, models, lake and Redis."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from feature_repo.online import OnlineReader
from feature_repo.targets import FORECAST_V2, to_model_input
from lake import calendars
from lake.clock import FixedClock
from lake.errors import OnlineStoreError
from lake.settings import Settings
from lake.tables import BLEND_WEIGHTS, FORECASTS, MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS
from lake.universe import SYMBOLS
from serving.api import BATCH_SYMBOLS, DISCLAIMER, PredictAnswer, Problem
from serving.deployment import Champions, load_engines
from serving.forecast_log import ForecastLog, LogReader, open_log, rows_from_json, waiting_rows
from serving.forecasts import sign_probability
from serving.predict import Predictor
from serving.web.app import build_app
from serving.web.http.middleware import BODY_BYTES
from support.clients import client_of

PREDICT, BATCH = "/api/v1/public/predict", "/api/v1/public/predict/batch"


@pytest.fixture(scope="module")
def reader(home):
    return OnlineReader(home.settings)


@pytest.fixture
def predictor(home, reader, tmp_path):
    own = Settings(home=tmp_path)
    made = Predictor(reader, Champions(home.settings), ForecastLog.open(own), LogReader(own), home.clock)
    yield made
    made.close()


@pytest.fixture
def client(predictor):
    return client_of(build_app(predictor))


class Shelf:
    """Values read from the real store once, and changed on the way: states that are hard to bring a server into."""

    def __init__(self, reader, **change):
        self._reader, self._change = reader, change

    def symbols(self):
        return self._reader.symbols()

    def assigned_symbols(self):
        return self._reader.assigned_symbols()

    def read(self, symbols):
        batch = self._reader.read(symbols)
        return replace(batch, **{n: change(getattr(batch, n)) for n, change in self._change.items()})


def ask(client, symbol="AAPL", horizon=1):
    return client.post(PREDICT, json={"symbol": symbol, "horizon_sessions": horizon})


def logged(predictor):
    return rows_from_json([one.row for one in waiting_rows(open_log(predictor.log.path), 10_000)])


def test_a_forecast_has_exactly_the_promised_parts(client):
    answer = ask(client).json()
    assert set(answer) == {
        "disclaimer", "prediction_id", "symbol", "as_of", "made_at", "prediction", "strategy", "model", "data",
    }  # fmt: skip
    assert answer["disclaimer"] == DISCLAIMER
    assert {
        "target_price", "expected_return", "p10", "p50", "p90", "direction", "confidence", "outlook",
        "horizon_sessions", "regime",
    } <= set(answer["prediction"])  # fmt: skip
    assert set(answer["strategy"]) == {"selected_strategy", "parameter_weights", "heuristic_confidence"}
    assert {"name", "version", "digest"} <= set(answer["model"])
    assert set(answer["data"]) == {
        "feature_table_versions", "feature_hash", "age_sessions", "is_stale", "is_degraded", "degraded_because",
    }  # fmt: skip


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_forecast_is_the_weighted_mean_of_what_the_models_say_of_the_stored_window(
    client, home, model_weights, horizon
):
    """Computed again from the lake table, not from the online store, and by hand, not by `blend`."""
    answer = ask(client, "KO", horizon).json()
    windows = home.lake.read_as_of(MODEL_WINDOWS, home.clock.now())
    row = windows.filter(windows["symbol"] == "KO").row(0, named=True)
    values = np.array(row["window"], np.float32).reshape(1, FORECAST_V2.sessions, len(FORECAST_V2.features))
    engines = load_engines(home.settings)
    position = (1, 5).index(horizon)
    said = {name: engine.predict(to_model_input(values))[0, position] for name, engine in engines.items()}
    of = model_weights[horizon]
    expected = of["naive"] * said["naive"] + of["ridge"] * said["ridge"] + of["lstm"] * said["lstm"]
    prediction = answer["prediction"]
    assert np.allclose([prediction["p10"], prediction["p50"], prediction["p90"]], expected, atol=1e-7)
    assert (prediction["target_price"], prediction["reference_price"]) == (None, None)  # its source has no such price
    assert prediction["price_basis"] == "adjusted_close_only"
    assert prediction["expected_return"] == prediction["p50"]
    assert answer["data"]["feature_hash"] == row["feature_hash"]
    read = home.lake.versions([MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS, BLEND_WEIGHTS]) | json.loads(
        row["table_versions"]
    )
    assert read.items() <= answer["data"]["feature_table_versions"].items()
    assert datetime.fromisoformat(answer["as_of"]) == row["event_time"]


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_model_part_names_every_file_that_took_part(client, exports, model_weights, horizon):
    model = ask(client, horizon=horizon).json()["model"]
    parts = {part["name"]: part for part in model["members"]}
    assert {name: part["digest"] for name, part in parts.items()} == {n: e.digest for n, e in exports.items()}
    assert {name: part["weight"] for name, part in parts.items()} == model_weights[horizon]
    assert (model["name"], model["version"]) == ("blend", "lstm-1+naive-1+ridge-1")
    text = "\n".join(f"{name} {exports[name].digest}" for name in sorted(exports))
    assert model["digest"] == hashlib.sha256(text.encode()).hexdigest()


def test_a_model_that_has_all_the_weight_answers_under_its_name(home, reader, predictor, exports):
    models, weights, horizons = ("lstm", "ridge") * 2, (0.0, 1.0) * 2, (1, 1, 5, 5)
    shelf = Shelf(reader, blend=lambda found: replace(found, models=models, weights=weights, horizons=horizons))
    alone = Predictor(shelf, predictor.champions, predictor.log, predictor.logged, home.clock)
    answer = ask(client_of(build_app(alone))).json()
    assert (answer["model"]["name"], answer["model"]["digest"]) == ("ridge", exports["ridge"].digest)


def test_direction_and_confidence_follow_from_the_quantiles(client):
    for symbol in SYMBOLS[:8]:
        said = ask(client, symbol).json()["prediction"]
        assert said["direction"] == {1: "up", -1: "down", 0: "flat"}[int(np.sign(said["p50"]))]
        assert said["confidence"] == sign_probability(said["p10"], said["p50"], said["p90"])
        assert ("coin" in said["outlook"]) == (said["direction"] != "flat" and said["confidence"] < 0.52)
        assert said["direction"] in said["outlook"] or "coin" in said["outlook"]


def test_the_strategy_is_the_one_that_was_assigned(client, weights):
    said = ask(client).json()["strategy"]
    assert said == {"selected_strategy": "lstm", "parameter_weights": weights, "heuristic_confidence": 0.55}


def test_every_answer_is_logged_and_can_be_looked_up(client, predictor):
    answers = [ask(client, symbol, horizon) for symbol in SYMBOLS[:5] for horizon in (1, 5)]
    rows = logged(predictor)
    assert rows.columns == FORECASTS.names
    assert rows["forecast_id"].to_list() == [answer.json()["prediction_id"] for answer in answers]
    for answer, row in zip(answers, rows.iter_rows(named=True), strict=True):
        said = answer.json()
        assert row["p50"] == said["prediction"]["p50"]
        assert row["model_digest"] == said["model"]["digest"]
        assert row["kind"] == "served"
        assert row["latency_ms"] > 0
        assert client.get(f"/api/v1/public/predictions/{said['prediction_id']}").content == answer.content


def test_a_batch_answers_in_the_order_asked_and_like_single_requests(client, predictor):
    symbols = list(reversed(SYMBOLS))
    answer = client.post(BATCH, json={"symbols": symbols, "horizon_sessions": 5}).json()
    assert [said["symbol"] for said in answer["predictions"]] == symbols
    assert answer["unavailable"] == []
    for said in answer["predictions"][:4]:
        PredictAnswer.model_validate(said)
        alone = ask(client, said["symbol"], 5).json()
        assert said["prediction"]["p50"] == pytest.approx(alone["prediction"]["p50"], abs=1e-7)
    assert logged(predictor).height == len(symbols) + 4


def test_a_batch_reads_once_and_computes_once_per_model(home, reader, predictor):
    calls = []

    class Counting(Shelf):
        def read(self, symbols):
            calls.append("read")
            return super().read(symbols)

    counting = Predictor(Counting(reader), predictor.champions, predictor.log, predictor.logged, home.clock)
    models = counting.champions.current()
    for name, engine in list(models.engines.items()):
        predict = engine.predict
        models.engines[name].predict = lambda x, n=name, p=predict: (calls.append(n), p(x))[1]
    assert len(counting.predict(SYMBOLS, 1).entries) == len(SYMBOLS)
    assert sorted(calls) == ["lstm", "naive", "read", "ridge"]


def test_symbols_of_a_batch_that_are_not_ready_are_listed_apart(home, reader, predictor):
    shelf = Shelf(reader, selected_strategy=lambda found: [None, *found[1:]])
    client = client_of(build_app(Predictor(shelf, predictor.champions, predictor.log, predictor.logged, home.clock)))
    answer = client.post(BATCH, json={"symbols": ["KO", "GE"], "horizon_sessions": 1}).json()
    assert [said["symbol"] for said in answer["predictions"]] == ["GE"]
    assert answer["unavailable"] == [{"symbol": "KO", "reason": "No strategy has been selected for KO yet."}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"selected_strategy": lambda found: [None] * len(found)}, "No strategy has been selected for AAPL"),
        ({"strategies": lambda found: [[] for _ in found]}, "No strategy has been selected for AAPL"),
        ({"regime": lambda _: None}, "regime is not known"),
        ({"blend": lambda _: None}, "no weights of models that are current"),
        ({"symbols": lambda _: [], "missing": lambda _: ["AAPL"]}, "AAPL has no model input yet"),
    ],
)
def test_what_is_not_there_yet_is_409_and_never_made_up(home, reader, predictor, change, said):
    client = client_of(
        build_app(Predictor(Shelf(reader, **change), predictor.champions, predictor.log, predictor.logged, home.clock))
    )
    answer = ask(client)
    assert answer.status_code == 409
    assert said in answer.json()["detail"]
    assert logged(predictor).is_empty()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blend": lambda found: replace(found, models=("tft",) * 6)}, "name tft, which is not in service"),
        ({"blend": lambda found: replace(found, weights=(0.1,) * 6)}, "sum to one"),
        ({"window": lambda found: found + np.float32(np.inf)}, "window 0, session 0"),
    ],
)
def test_what_cannot_be_computed_is_503_with_the_reason(home, reader, predictor, change, said):
    client = client_of(
        build_app(Predictor(Shelf(reader, **change), predictor.champions, predictor.log, predictor.logged, home.clock))
    )
    answer = ask(client)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert said in answer.json()["detail"]
    assert logged(predictor).is_empty()


def test_without_the_online_store_it_says_how_to_start_it(home, predictor):
    away = OnlineReader(home.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1025/0"}))
    client = client_of(build_app(Predictor(away, predictor.champions, predictor.log, predictor.logged, home.clock)))
    for answer in (ask(client), client.get("/readyz"), client.get("/api/v1/public/symbols")):
        assert answer.status_code == 503
        assert "make serve" in answer.json()["hint"]
    with pytest.raises(OnlineStoreError):
        away.read(["AAPL"])


def test_without_a_model_it_says_where_to_look(home, reader, predictor, tmp_path):
    empty = Champions(home.settings.model_copy(update={"home": tmp_path}))
    client = client_of(build_app(Predictor(reader, empty, predictor.log, predictor.logged, home.clock)))
    for answer in (ask(client), client.get("/readyz"), client.get("/api/v1/public/models/status")):
        assert answer.status_code == 503
        assert "No model is in service" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("symbol", "nearest"), [("APPL", "AAPL"), ("aapl", "AAPL"), ("MSFTT", "MSFT"), ("^GSPC", None)]
)
def test_an_unknown_symbol_is_404_with_the_nearest_names(client, symbol, nearest):
    answer = ask(client, symbol)
    assert answer.status_code == 404
    assert nearest is None or nearest in answer.json()["nearest"]
    assert client.post(BATCH, json={"symbols": ["KO", symbol], "horizon_sessions": 1}).status_code == 404


@pytest.mark.parametrize("horizon", [2, 3, 10, 252])
def test_a_horizon_no_model_forecasts_is_422_naming_those_they_do(client, horizon):
    answer = ask(client, horizon=horizon)
    assert answer.status_code == 422
    assert "one of 1, 5" in answer.json()["hint"]


GOOD = b'"symbol":"AAPL","horizon_sessions":1'
ODD_BODIES = [
    b"", b" ", b"null", b"1", b"true", b'"AAPL"', b"[]", b"[[]]", b"{}", b"{", b"}", b"NaN",
    b'{"symbol":"AAPL"}', b'{"horizon_sessions":1}', b'{"symbol":"AAPL","horizon_sessions":NaN}',
    b'{"symbol":"AAPL","horizon_sessions":Infinity}', b'{"symbol":"AAPL","horizon_sessions":-Infinity}',
    b'{"symbol":"AAPL","horizon_sessions":1.0}', b'{"symbol":"AAPL","horizon_sessions":1.5}',
    b'{"symbol":"AAPL","horizon_sessions":"1"}', b'{"symbol":"AAPL","horizon_sessions":true}',
    b'{"symbol":"AAPL","horizon_sessions":null}', b'{"symbol":"AAPL","horizon_sessions":0}',
    b'{"symbol":"AAPL","horizon_sessions":-1}', b'{"symbol":"AAPL","horizon_sessions":' + b"9" * 5_000 + b"}",
    b'{"symbol":1,"horizon_sessions":1}', b'{"symbol":null,"horizon_sessions":1}',
    b'{"symbol":NaN,"horizon_sessions":1}',
    b'{"symbol":["AAPL"],"horizon_sessions":1}', b'{"symbol":"","horizon_sessions":1}',
    b'{"symbol":"' + b"A" * 33 + b'","horizon_sessions":1}', b'{"symbol":"\\ud800","horizon_sessions":1}',
    b'{"symbol":"\\u0000","horizon_sessions":1}', b"{" + GOOD + b',"extra":1}', b"{" + GOOD + b',"\\ud800":NaN}',
    b"{" + GOOD + b"} trailing", b"{" + GOOD[:-1] + b"}", b'{"symbol":"\xff\xfe","horizon_sessions":1}',
    b"[" * 20_000, b'{"symbol":' * 5_000, b"\x00" * 100, b"\xef\xbb\xbf{" + GOOD + b",}",
    b"symbol=AAPL&horizon_sessions=1",
]  # fmt: skip


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_an_odd_body_is_a_clear_4xx(client, predictor, body):
    answer = client.post(PREDICT, content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    problem = Problem.model_validate(answer.json())
    assert problem.status == answer.status_code
    assert problem.title
    assert problem.detail
    assert problem.hint
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    assert logged(predictor).is_empty()


@pytest.mark.parametrize(
    "body",
    [
        {"symbols": [], "horizon_sessions": 1},
        {"symbols": "AAPL", "horizon_sessions": 1},
        {"symbols": ["KO", "KO"], "horizon_sessions": 1},
        {"symbols": ["KO", 1], "horizon_sessions": 1},
        {"symbols": ["KO", None], "horizon_sessions": 1},
        {"symbols": {"KO": 1}, "horizon_sessions": 1},
        {"symbols": [f"S{i}" for i in range(BATCH_SYMBOLS + 1)], "horizon_sessions": 1},
        {"symbols": ["KO"]},
    ],
)
def test_an_odd_batch_is_422(client, body):
    answer = client.post(BATCH, json=body)
    assert answer.status_code == 422
    assert "symbols" in answer.json()["detail"] or "horizon_sessions" in answer.json()["detail"]


def test_the_largest_batch_fits_the_bound_on_bodies():
    body = {"symbols": [f"{i:032d}" for i in range(BATCH_SYMBOLS)], "horizon_sessions": 252}
    assert len(json.dumps(body)) < BODY_BYTES


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_body_over_the_bound_is_413(client, is_announced):
    body = b"x" * (BODY_BYTES + 1)
    pieces = (body[start : start + 50_000] for start in range(0, len(body), 50_000))
    answer = client.post(
        PREDICT, content=body if is_announced else pieces, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    assert str(BODY_BYTES) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PREDICT, 405),
        ("DELETE", "/api/v1/public/symbols", 405),
        ("GET", "/nothing/here", 404),
        ("GET", "/api/v1/public/predictions/none", 404),
        ("GET", "/api/v1/public/predictions/%00%ff", 404),
    ],
)
def test_a_wrong_path_or_method_is_a_problem_too(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {
        "type", "title", "status", "detail", "instance", "hint", "correlation_id", "nearest",
    }  # fmt: skip
    assert answer.json()["status"] == status
    assert client.get(answer.json()["type"]).json()["title"] == answer.json()["title"]
    assert answer.json()["detail"].startswith("There is no ")
    assert "Known: ." not in answer.text


def test_an_unforeseen_error_shows_no_traceback(home, predictor):
    class Broken(Shelf):
        def read(self, symbols):
            raise RuntimeError(f"/secret/path {symbols}")

    client = client_of(
        build_app(Predictor(Broken(None), predictor.champions, predictor.log, predictor.logged, home.clock))
    )
    answer = ask(client)
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_metrics_count_by_route_template(client):
    for missing in ("a", "b", "c"):
        client.get(f"/api/v1/public/predictions/{missing}")
    text = client.get("/metrics").text
    lines = [x for x in text.splitlines() if x.startswith("quantlake_request_seconds_count{") and 'status="404"' in x]
    assert sum('route="/api/v1/public/predictions/{prediction_id}"' in line for line in lines) == 1
    assert not any(f'predictions/{missing}"' in text for missing in ("a", "b", "c"))


def test_a_forecast_grows_stale_when_the_market_moves_on(home, reader, predictor):
    close = home.clock.now()
    assert ask(client_of(build_app(predictor))).json()["data"] | {"feature_hash": 0, "feature_table_versions": 0} == {
        "feature_hash": 0, "feature_table_versions": 0, "age_sessions": 0, "is_stale": False,
        "is_degraded": False, "degraded_because": "",
    }  # fmt: skip
    later = FixedClock(calendars.next_closes(close, 3)[-1])
    stale = Predictor(reader, predictor.champions, predictor.log, predictor.logged, later)
    data = ask(client_of(build_app(stale))).json()["data"]
    assert (data["age_sessions"], data["is_stale"]) == (3, True)
