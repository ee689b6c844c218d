"""Where the networks of a served forecast looked, asked for over HTTP."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import materialize
from feature_repo.targets import FORECAST_V2
from lake.tables import BLEND_WEIGHTS, FORECASTS
from serving.access import local_key
from serving.api import PredictAnswer
from serving.api.attention import LOOKED, AttentionAnswer
from serving.client import Client
from serving.deployment.registry import register_and_promote
from serving.engines import AttentionEngine, Bundle
from serving.forecast_log import drain
from serving.predict import Predictor
from serving.replay import inputs_of
from serving.web.app import build_app
from support.blend import weights_row
from support.clients import client_of

if TYPE_CHECKING:
    from support.receipts import Home

PREDICT, EXPLAIN = "/api/v1/public/predict", "/api/v1/public/explain/prediction"


@pytest.fixture(scope="module")
def attentive(copy_home: Any, transformer: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A home whose one-session forecasts are a blend of a transformer and naive, and those of five sessions naive's."""
    mine: Home = copy_home(tmp_path_factory.mktemp("attentive") / "home", redis_url=None)
    register_and_promote(transformer, mine.lake, mine.settings, clock=mine.clock)
    shutil.rmtree(mine.lake.path(BLEND_WEIGHTS))
    weights = {1: {"tft": 0.75, "naive": 0.25}, 5: {"naive": 1.0}}
    mine.lake.merge(BLEND_WEIGHTS, weights_row(mine.clock.now(), weights))
    with running_redis(mine.settings):
        materialize(mine.lake, mine.settings, mine.clock.now())
        predictor = Predictor.open(mine.settings)
        app = build_app(predictor)
        yield mine, client_of(app, mine.settings), app
        app.state.explanations.close()
        predictor.close()


def forecast(http: TestClient, horizon: int) -> PredictAnswer:
    asked = {"symbol": "AAPL", "horizon_sessions": horizon}
    return PredictAnswer.model_validate(http.post(PREDICT, json=asked).json())


def test_the_answer_says_where_the_network_looked(attentive: Any, transformer: Bundle, served: Any) -> None:
    mine, http, app = attentive
    made = forecast(http, 1)
    asked = {"prediction_id": made.prediction_id, "method": "attention"}
    answer = AttentionAnswer.model_validate(http.post(EXPLAIN, json=asked).json())
    assert (answer.label, answer.without_attention, answer.is_cached) == (LOOKED, ["naive"], False)
    [member] = answer.members
    assert (member.model, member.weight, member.digest) == ("tft", 0.75, transformer.digest)
    assert answer.engine.digests == {"tft": transformer.signature.explain}
    looked = [each.weight for each in member.sessions] + member.steps_ahead
    assert abs(sum(looked) - 1) <= 1e-5
    assert [each.lag for each in member.sessions] == list(range(30))
    for weight in ("weight", "last_weight", "availability_weight"):
        assert abs(sum(getattr(each, weight) for each in member.features) - 1) <= 1e-5
    window = inputs_of(mine.lake, mine.settings, made.prediction_id).window
    x = np.concatenate([np.nan_to_num(window), ~np.isnan(window)], axis=-1, dtype=np.float32)[None]
    read = AttentionEngine.load(transformer).look(x)
    assert [each.weight for each in member.sessions] == read.attention[0, 0, 29::-1].astype(float).tolist()
    by_name = {each.feature: each.last_weight for each in member.features}
    assert [by_name[name] for name in FORECAST_V2.features] == read.feature_weights[0, -1].astype(float).tolist()
    with served(app) as address, Client(address, key=local_key(mine.settings)) as client:
        again = client.attention(made.prediction_id)
    assert (again.members, again.is_cached) == (answer.members, True)


def test_a_forecast_without_a_network_with_attention_is_refused_with_the_reason(attentive: Any) -> None:
    _, http, _ = attentive
    asked = {"prediction_id": forecast(http, 5).prediction_id, "method": "attention"}
    answer = http.post(EXPLAIN, json=asked)
    assert answer.status_code == 422
    assert "No graph with attention among the models asked for: naive" in answer.json()["detail"]
    assert "shapley explains every model" in answer.json()["detail"]


def test_a_drained_forecast_is_answered_alike(attentive: Any) -> None:
    mine, http, _ = attentive
    made = forecast(http, 1)
    asked = {"prediction_id": made.prediction_id, "method": "attention"}
    before = http.post(EXPLAIN, json=asked).json()
    drain(mine.lake, mine.settings)
    assert mine.lake.report(FORECASTS).rows
    after = http.post(EXPLAIN, json=asked).json()
    assert after["members"] == before["members"]
