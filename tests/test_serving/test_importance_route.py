"""What was measured of the features of a model, asked for over HTTP, as it was known then."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from lake.tables import FEATURE_IMPORTANCE
from serving.access import local_key
from serving.api.importance import ImportanceAnswer
from serving.client import Client
from serving.predict import Predictor
from serving.web.app import build_app
from support.clients import client_of
from support.importance import importance_rows

if TYPE_CHECKING:
    from support.receipts import Home

ROUTE = "/api/v1/public/explain/features"


@pytest.fixture(scope="module")
def asked(copy_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    mine: Home = copy_home(tmp_path_factory.mktemp("importance") / "home")
    now = mine.clock.now()
    earlier = importance_rows(now - timedelta(days=35), factor=-1.0)
    for frame in (importance_rows(now), earlier, importance_rows(now, model="ridge", horizon=5)):
        mine.lake.merge(FEATURE_IMPORTANCE, frame)
    predictor = Predictor.open(mine.settings)
    app = build_app(predictor)
    yield mine, client_of(app, mine.settings), app
    app.state.explanations.close()
    predictor.close()


def answered(http: TestClient, **query: object) -> ImportanceAnswer:
    answer = http.get(ROUTE, params=query)
    assert answer.status_code == 200, answer.text
    return ImportanceAnswer.model_validate(answer.json())


def test_the_newest_measure_of_the_blend_comes_with_the_rank_of_a_month_before(asked: Any) -> None:
    mine, http, _ = asked
    found = answered(http)
    assert [each.feature for each in found.features] == ["volatility_garch", "return_5d", "rsi_14"]
    assert [each.rank_last_month for each in found.features] == [3, 2, 1]
    assert [(each.feature, each.features) for each in found.clusters] == [
        ("return_20d + rsi_14", ["return_20d", "rsi_14"])
    ]
    assert (found.model, found.regime, found.horizon_sessions, found.repeats) == ("blend", "all", 1, 20)
    assert found.as_of == found.measured_at == mine.clock.now()
    assert found.features[1].group == "returns"
    assert found.table_versions == {"bars": 3}


def test_nothing_is_answered_that_became_known_later(asked: Any) -> None:
    mine, http, _ = asked
    then = (mine.clock.now() - timedelta(days=10)).date()
    found = answered(http, as_of=then.isoformat())
    assert found.measured_at <= found.as_of < mine.clock.now()
    assert [each.feature for each in found.features] == ["rsi_14", "return_5d", "volatility_garch"]
    early = http.get(ROUTE, params={"as_of": (mine.clock.now() - timedelta(days=90)).isoformat()})
    assert early.status_code == 409
    assert "was not measured by" in early.json()["detail"]


@pytest.mark.parametrize(
    ("query", "status", "slug"),
    [
        ({"model": "rigde", "horizon_sessions": 5}, 404, "unknown-model"),
        ({"regime": "calm"}, 422, "unknown-regime"),
        ({"as_of": "yesterday"}, 422, "invalid-request"),
        ({"horizon_sessions": 2}, 409, "not-ready"),
        ({"horizon_minutes": 60}, 422, "unknown-horizon"),
    ],
)
def test_what_was_not_measured_is_refused_with_the_reason(asked: Any, query: dict, status: int, slug: str) -> None:
    _, http, _ = asked
    answer = http.get(ROUTE, params=query)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")


def test_the_client_asks_the_same(asked: Any, served: Any) -> None:
    mine, http, app = asked
    with served(app) as address, Client(address, key=local_key(mine.settings)) as client:
        found = client.importance("ridge", 5)
    assert found == answered(http, model="ridge", horizon_sessions=5)
