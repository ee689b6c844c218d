"""Explanations as they are asked for over HTTP: answers, refusals, the queue, and what is told beside a forecast."""

import asyncio
import csv
import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient
from typer.testing import CliRunner

from dagster_project import cli
from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import materialize
from lake.errors import OverloadedError
from lake.settings import settings as read_settings
from serving.access import Rule
from serving.api import DISCLAIMER, PredictAnswer
from serving.api.explanations import (
    Change,
    CounterfactualAnswer,
    CounterfactualRequest,
    ExplanationAnswer,
    FlipSearch,
    Sweep,
)
from serving.client import Client
from serving.engines import BACKGROUND_FILE, SIGNATURE_FILE, Bundle
from serving.explain.worker.turns import ExplanationQueue
from serving.predict import Predictor
from serving.replay import counts, replay
from serving.web.app import build_app
from serving.web.routes.forecasts import beside
from support.clients import client_of, headers_of
from support.receipts import Home

PUBLIC = "/api/v1/public"
EXPLAIN, CHANGE, PREDICT = f"{PUBLIC}/explain/prediction", f"{PUBLIC}/explain/counterfactual", f"{PUBLIC}/predict"


PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def mine(copy_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with a Redis of its own: the newest forecast of a symbol is one that was made here."""
    made: Home = copy_home(tmp_path_factory.mktemp("mine") / "home", redis_url=None)
    with running_redis(made.settings):
        materialize(made.lake, made.settings, made.clock.now())
        yield made


@pytest.fixture(scope="module")
def app(mine: Home) -> Iterator[Any]:
    predictor = Predictor.open(mine.settings)
    made = build_app(predictor)
    yield made
    made.state.explanations.close()
    predictor.close()


@pytest.fixture(scope="module")
def http(app: Any, mine: Home) -> TestClient:
    return client_of(app, mine.settings)


@pytest.fixture(scope="module")
def forecast(http: TestClient) -> PredictAnswer:
    return PredictAnswer.model_validate(http.post(PREDICT, json={"symbol": "AAPL", "horizon_sessions": 1}).json())


def test_the_contributions_sum_to_the_number_that_was_answered(http: TestClient, forecast: PredictAnswer) -> None:
    answered = forecast.prediction
    given = {"p10": answered.p10, "p50": answered.p50, "p90": answered.p90, "width": answered.p90 - answered.p10}
    for quantity, value in given.items():
        asked = {"prediction_id": forecast.prediction_id, "quantile": quantity}
        answer = ExplanationAnswer.model_validate(http.post(EXPLAIN, json=asked).json())
        told = answer.explanation
        assert told.value == value
        assert abs(told.base_value + sum(told.local_explanation.shap_values.values()) - value) <= 1e-9
        assert answer.is_cached == (quantity != "p10"), "one computation explains every number"
        assert answer.disclaimer == DISCLAIMER
        assert answer.engine.digests == {member.name: member.digest for member in forecast.model.members}
        assert (answer.symbol, answer.as_of, answer.horizon_sessions) == ("AAPL", forecast.as_of, 1)


def test_the_largest_contributions_come_first_and_have_a_sentence(http: TestClient, forecast: PredictAnswer) -> None:
    asked = {"prediction_id": forecast.prediction_id, "explanation_type": "detailed"}
    told = ExplanationAnswer.model_validate(http.post(EXPLAIN, json=asked).json()).explanation
    amounts = [abs(each.contribution) for each in told.local_explanation.feature_contributions]
    assert amounts == sorted(amounts, reverse=True)
    first = told.local_explanation.feature_contributions[0]
    assert told.reasoning_chain[2].startswith(f"{first.feature} (")
    assert [member.pairs for member in told.members] == [4, 4, 4]
    assert all(each.standard_error is not None for each in told.local_explanation.feature_contributions)


def test_a_line_says_how_faithful_it_is(http: TestClient, forecast: PredictAnswer) -> None:
    asked = {"prediction_id": forecast.prediction_id, "method": "lime"}
    told = ExplanationAnswer.model_validate(http.post(EXPLAIN, json=asked).json()).explanation
    assert told.fidelity_r2 is not None
    assert told.is_faithful == (told.fidelity_r2 >= 0.8)
    assert "straight line" in told.reasoning_chain[-1]


@pytest.mark.parametrize(
    ("path", "body", "status", "slug"),
    [
        (EXPLAIN, {"prediction_id": "0" * 32}, 404, "unknown-prediction"),
        (EXPLAIN, {"prediction_id": "no id"}, 404, "unknown-prediction"),
        (EXPLAIN, {}, 422, "invalid-request"),
        (EXPLAIN, {"prediction_id": "0" * 32, "method": "integrated_gradients"}, 404, "unknown-prediction"),
        (EXPLAIN, {"prediction_id": "0" * 32, "method": "anchors"}, 422, "invalid-request"),
        (CHANGE, {"prediction_id": "0" * 32, "changes": {"rsi_14": {"to": 1.0}}}, 404, "unknown-prediction"),
        (CHANGE, {"prediction_id": "0" * 32, "changes": {"rsi_14": {}}}, 422, "invalid-request"),
        (CHANGE, {"prediction_id": "0" * 32}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_explained_is_a_problem_document(
    http: TestClient, path: str, body: dict[str, Any], status: int, slug: str
) -> None:
    answer = http.post(path, json=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")


def test_changes_that_cannot_be_are_refused_with_the_rule(http: TestClient, forecast: PredictAnswer) -> None:
    asked = {"prediction_id": forecast.prediction_id, "changes": {"rsi_14": {"to": 101.0}}}
    answer = http.post(CHANGE, json=asked)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert "between 0 and 100" in answer.json()["detail"]
    answer = http.post(CHANGE, json=asked | {"changes": {"rsi_41": {"to": 50.0}}})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-feature")
    assert answer.json()["nearest"][0] == "rsi_14"


def test_models_without_typical_windows_forecast_and_say_why_they_do_not_explain(
    copy_home: Any, exports: dict[str, Bundle], put: Any, tmp_path: Path
) -> None:
    made = copy_home(tmp_path / "home")
    for name, bundle in exports.items():
        folder = shutil.copytree(bundle.folder, tmp_path / name)
        (folder / BACKGROUND_FILE).unlink()
        signature = json.loads((folder / SIGNATURE_FILE).read_text())
        del signature["background"]
        (folder / SIGNATURE_FILE).write_text(json.dumps(signature))
        shutil.rmtree(made.settings.models / name)
        put(made.settings, Bundle.load(folder), "9")
    predictor = Predictor.open(made.settings)
    http = client_of(build_app(predictor), made.settings)
    asked = {"symbol": "AAPL", "horizon_sessions": 1, "include_explanation": True}
    beside = PredictAnswer.model_validate(http.post(PREDICT, json=asked).json())
    answer = http.post(EXPLAIN, json={"prediction_id": beside.prediction_id})
    predictor.close()
    assert beside.explanation is None
    assert "`served_models`" in str(beside.no_explanation_because)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-ready")
    assert answer.json()["detail"] == beside.no_explanation_because


def test_an_explanation_beside_a_forecast_is_no_part_of_what_is_logged(http: TestClient, mine: Home) -> None:
    asked = {"symbol": "IBM", "horizon_sessions": 5, "include_explanation": True}
    answer = PredictAnswer.model_validate(http.post(PREDICT, json=asked).json())
    told = answer.explanation
    assert told is not None
    assert answer.no_explanation_because is None
    assert len(told.top_features) == 5
    assert sum(each.importance for each in told.top_features) <= 1
    assert told.confidence_factors.band_width == answer.prediction.p90 - answer.prediction.p10
    assert "IBM" in told.reasoning
    stored = http.get(f"{PUBLIC}/predictions/{answer.prediction_id}").json()
    assert "explanation" not in stored
    assert counts(replay(mine.lake, mine.settings, [answer.prediction_id]))["equal"] == 1


def test_the_client_asks_the_same_questions(app: Any, served: Any, mine: Home) -> None:
    key = headers_of(mine.settings)["authorization"].removeprefix("Bearer ")
    with served(app) as address, Client(address, key) as client:
        answer = client.predict_explained("MSFT")
        assert answer.explanation is not None
        explained = client.explain(answer.prediction_id, quantile="width", grain="group")
        assert {each.feature for each in explained.explanation.local_explanation.feature_contributions} == {
            "returns", "volatility", "volume", "market", "momentum", "expected_volatility",
        }  # fmt: skip
        changes = {"volatility_garch": Change(by=0.01)}
        for asked in (
            {"changes": changes},
            {"find": FlipSearch(flip="direction")},
            {"sweep": Sweep(features=["rsi_14"])},
        ):
            question = CounterfactualRequest(prediction_id=answer.prediction_id, **asked)
            first, again = client.what_if(question), client.what_if(question)
            assert isinstance(first, CounterfactualAnswer)
            assert (first.is_cached, again.is_cached) == (False, True)
            assert again.model_copy(update={"is_cached": False}) == first


@pytest.fixture
def command(app: Any, served: Any, mine: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run `quantlake explain` against the served application."""
    with served(app) as address:
        for name, value in (("HOME", str(mine.settings.home)), ("PORT", address.rpartition(":")[2])):
            monkeypatch.setenv(f"QUANTLAKE_{name}", value)
        monkeypatch.setenv("COLUMNS", "80")
        read_settings.cache_clear()
        yield lambda *words: CliRunner().invoke(cli.app, ["explain", *words], catch_exceptions=False).stdout
    monkeypatch.undo()
    read_settings.cache_clear()


def test_the_command_shows_the_newest_forecast_of_a_symbol_in_eighty_columns(command: Any, http: TestClient) -> None:
    forecast = http.post(PREDICT, json={"symbol": "KO", "horizon_sessions": 5}).json()
    lines = command("ko", "--horizon", "5", "--quantile", "width").splitlines()
    assert lines[0] == f"KO as of {forecast['as_of'][:10]}: width of the band p10..p90"
    assert max(map(len, lines)) <= 80
    width = 100 * (forecast["prediction"]["p90"] - forecast["prediction"]["p10"])
    (last,) = [line for line in lines if line.startswith("forecast ")]
    assert f"+{width:.4f} %" in last
    assert forecast["prediction_id"] in " ".join(lines)


def test_the_command_gives_programs_the_answer_of_the_service(command: Any, http: TestClient) -> None:
    forecast = http.post(PREDICT, json={"symbol": "KO", "horizon_sessions": 1}).json()
    answer = ExplanationAnswer.model_validate_json(command(forecast["prediction_id"], "--quantile", "p90", "--json"))
    assert answer.explanation.value == forecast["prediction"]["p90"]
    first, *parts, last = csv.DictReader(command("KO", "--quantile", "p90", "--csv").splitlines())
    assert (first["feature"], last["feature"]) == ("base value", "forecast")
    summed = float(first["contribution"]) + sum(float(part["contribution"]) for part in parts)
    assert summed == pytest.approx(float(last["contribution"]), abs=1e-9)


def test_a_question_whose_turn_does_not_come_is_refused_and_the_next_one_is_answered() -> None:
    begun, ended = threading.Event(), threading.Event()

    def lasting() -> str:
        begun.set()
        ended.wait()
        return "first"

    async def ask() -> tuple[str, str, str]:
        queue = ExplanationQueue()
        first = asyncio.create_task(queue.compute(lasting))
        await asyncio.to_thread(begun.wait)
        try:
            with pytest.raises(OverloadedError, match=r"computed for 0.05 s"):
                await asyncio.wait_for(queue.compute(lambda: "second", 0.05), PATIENCE_SECONDS)
            with pytest.raises(OverloadedError, match=r"computed for 0.06 s"):
                await asyncio.to_thread(queue.compute_for_thread, lambda: "second", 0.06)
        finally:
            ended.set()
        answers = await first, await queue.compute(lambda: "third")
        last = await asyncio.to_thread(queue.compute_for_thread, lambda: "fourth", PATIENCE_SECONDS)
        queue.close()
        return *answers, last

    assert asyncio.run(ask()) == ("first", "third", "fourth")


class Occupied:
    """A route that computes until it is told to end, in the turn of an explanation."""

    RULES = (Rule("POST", f"{PUBLIC}/occupied", "open"),)

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def add_routes(self, app: FastAPI) -> None:
        @app.post(f"{PUBLIC}/occupied")
        async def occupied(request: Request) -> str:
            return str(await request.app.state.explanations.queue.compute(self.work))

    def work(self) -> str:
        self.begun.set()
        self.ended.wait()
        return "done"


def test_while_one_is_computed_others_are_turned_away_and_known_ones_are_answered(
    app: Any, served: Any, mine: Home, forecast: PredictAnswer
) -> None:
    occupied = Occupied()
    busy = build_app(app.state.predictor, added=(occupied,))
    known = {"prediction_id": forecast.prediction_id, "quantile": "p90"}
    with served(busy) as address, httpx.Client(base_url=address, headers=headers_of(mine.settings)) as http:
        assert http.post(EXPLAIN, json=known).status_code == 200
        with ThreadPoolExecutor(1) as thread:
            first = thread.submit(httpx.post, f"{address}{PUBLIC}/occupied", timeout=60)
            occupied.begun.wait()
            refused = http.post(EXPLAIN, json=known | {"grain": "group"})
            assert (refused.status_code, refused.json()["type"]) == (503, "/problems/overloaded")
            assert refused.headers["retry-after"]
            assert http.post(EXPLAIN, json=known).json()["is_cached"]
            assert http.post(PREDICT, json={"symbol": "IBM", "horizon_sessions": 1}).status_code == 200
            occupied.ended.set()
            assert first.result().json() == "done"
        assert http.post(EXPLAIN, json=known | {"grain": "group"}).status_code == 200
    busy.state.explanations.close()


def test_texts_beside_an_answer_are_json() -> None:
    assert json.loads(beside('{"a":1}', None, 'why "not"')) == {"a": 1, "no_explanation_because": 'why "not"'}
