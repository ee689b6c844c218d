"""An engine that fails for one input, and model files that vanish: who is refused, and how it comes back."""

import asyncio
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from feature_repo.targets import to_model_input
from lake.errors import EngineError, ModelError
from lake.settings import Settings
from lake.universe import SYMBOLS
from serving.deployment import Champions
from serving.engines import Bundle, OnnxEngine
from serving.predict import Answers, Batcher, Question
from serving.web.app import build_app
from support.clients import client_of
from support.waiting import until

PREDICT = "/api/v1/public/predict"
UNLUCKY = "AAPL"


@pytest.fixture
def own(copy_home, tmp_path):
    """A home of its own, whose models may be spoilt."""
    return copy_home(tmp_path / "home").settings


@pytest.fixture
def predictor(predicting, own, tmp_path):
    with predicting(Settings(home=tmp_path / "aside"), champions=Champions(own)) as made:
        yield made


def dividing_by_zero(graph, at, value):
    """Add nought divided by (input at a place - value) to the output: no number where they are equal."""
    (output,), (given,) = graph.graph.output, graph.graph.input
    session, feature = at
    for node in graph.graph.node:
        node.output[:] = ["before" if name == output.name else name for name in node.output]
        node.input[:] = ["before" if name == output.name else name for name in node.input]
    numbers = {"starts": [session, feature], "ends": [session + 1, feature + 1], "axes": [1, 2]}
    graph.graph.initializer.extend(
        [helper.make_tensor(f"unlucky_{name}", TensorProto.INT64, [2], numbers[name]) for name in numbers]
        + [helper.make_tensor("unlucky_value", TensorProto.FLOAT, [], [value])]
        + [helper.make_tensor("unlucky_nought", TensorProto.FLOAT, [], [0.0])]
    )
    graph.graph.node.extend(
        [
            helper.make_node("Slice", [given.name, *(f"unlucky_{name}" for name in numbers)], ["unlucky_seen"]),
            helper.make_node("Sub", ["unlucky_seen", "unlucky_value"], ["unlucky_distance"]),
            helper.make_node("Div", ["unlucky_nought", "unlucky_distance"], ["unlucky_share"]),
            helper.make_node("Add", ["before", "unlucky_share"], [output.name]),
        ]
    )
    return graph.SerializeToString()


@pytest.fixture
def unlucky(exports, sign_anew, predictor, tmp_path):
    """A real model that cannot compute one symbol: it divides by the distance to a number that only this one has."""
    inputs = to_model_input(predictor.online.read(SYMBOLS).window)
    mine = inputs[list(SYMBOLS).index(UNLUCKY)]
    is_alone = (inputs == mine).sum(axis=0) == 1
    session, feature = (int(n[0]) for n in np.nonzero(is_alone))
    graph = onnx.load_model_from_string(exports["ridge"].content)
    content = dividing_by_zero(graph, (session, feature), float(mine[session, feature]))
    return Bundle.load(sign_anew(exports["ridge"].folder, tmp_path / "unlucky", content))


def ask_all(predictor):
    """Everybody at once; the answer or the error of each symbol."""

    async def ask():
        batcher = Batcher(predictor)
        asked = [batcher.ask(Question([symbol], 1)) for symbol in SYMBOLS]
        return await asyncio.gather(*asked, return_exceptions=True)

    return dict(zip(SYMBOLS, asyncio.run(ask()), strict=True))


def quantiles(answers):
    return [answers.entries[0].row[name] for name in ("p10", "p50", "p90")]


def test_an_engine_that_fails_for_one_symbol_is_503_for_it_and_others_are_as_ever(predictor, unlucky):
    before = ask_all(predictor)
    predictor.champions.current().engines["ridge"] = OnnxEngine(unlucky)
    logged = predictor.logged.count()
    after = ask_all(predictor)
    assert isinstance(after.pop(UNLUCKY), EngineError)
    assert all(isinstance(answers, Answers) for answers in after.values())
    assert [quantiles(a) for a in after.values()] == [quantiles(before[symbol]) for symbol in after]
    assert predictor.logged.count() == logged + len(after)
    client = client_of(build_app(predictor))
    answer = client.post(PREDICT, json={"symbol": UNLUCKY, "horizon_sessions": 1})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/engine-refused")
    assert answer.headers["retry-after"]
    assert client.post(PREDICT, json={"symbol": "IBM", "horizon_sessions": 1}).status_code == 200


def test_whatever_an_engine_raises_ends_nothing_but_the_question(predictor, monkeypatch):
    """Not one of our errors: a defect. It is a 500, once, and the next question is answered."""
    client = client_of(build_app(predictor))
    body = {"symbol": "IBM", "horizon_sessions": 1}
    assert client.post(PREDICT, json=body).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(predictor.champions.current().engines["ridge"], "predict", lambda _: 1 / 0)
        assert client.post(PREDICT, json=body).status_code == 500
    assert client.post(PREDICT, json=body).status_code == 200


def test_a_row_that_cannot_be_written_ends_nothing_but_the_question(predictor, monkeypatch):
    """The thread that computes batches outlives a number that is none."""
    client = client_of(build_app(predictor))
    body = {"symbol": "IBM", "horizon_sessions": 1}
    with monkeypatch.context() as patch:
        patch.setattr("serving.forecast_log.writing._as_values", lambda _: [].index(1))
        assert client.post(PREDICT, json=body).status_code == 500
    assert client.post(PREDICT, json=body).status_code == 200


def test_model_files_that_vanish_while_in_service_change_no_answer(predictor, own):
    before = ask_all(predictor)
    for folder in own.models.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    after = ask_all(predictor)
    assert [quantiles(after[symbol]) for symbol in SYMBOLS] == [quantiles(before[symbol]) for symbol in SYMBOLS]


def test_without_its_files_a_model_is_not_loaded_and_is_as_soon_as_they_are_there(predictor, own, tmp_path):
    away = shutil.move(own.models / "ridge", tmp_path / "away")
    predictor.champions = Champions(own).watch()
    client = client_of(build_app(predictor))
    body = {"symbol": "IBM", "horizon_sessions": 1}
    for answer in (client.post(PREDICT, json=body), client.get("/readyz")):
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/model-not-available")
    with pytest.raises(ModelError, match="missing"):
        predictor.champions.current()
    shutil.move(away, own.models / "ridge")
    until(lambda: client.get("/readyz").status_code == 200)
    assert client.post(PREDICT, json=body).status_code == 200
