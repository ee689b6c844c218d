"""A forecast of the caller's own values stands beside the stored one, by the same engines, and is stored nowhere."""

import pytest

from feature_repo.online import OnlineReader
from feature_repo.targets import FORECAST_V2
from lake.store import Lake
from lake.tables import FORECASTS, OUTCOMES
from serving.client import Client
from serving.deployment import Champions
from serving.forecast_log import drain, log_paths, open_log
from serving.outcomes import mature
from serving.web.app import build_app
from support.clients import client_of, headers_of

PREDICT = "/api/v1/public/predict"
ASKED = {"symbol": "KO", "horizon_sessions": 1}


@pytest.fixture(scope="module")
def own(copy_home, tmp_path_factory):
    return copy_home(tmp_path_factory.mktemp("own-values") / "home")


@pytest.fixture(scope="module")
def app(predicting, own):
    parts = OnlineReader(own.settings), Champions(own.settings)
    with predicting(own.settings, *parts) as predictor:
        yield build_app(predictor)


@pytest.fixture(scope="module")
def client(app):
    with client_of(app) as opened:
        yield opened


@pytest.fixture(scope="module")
def stored(client):
    """Values of the last session of the window, by name."""
    answer = client.post(PREDICT, json=ASKED).json()
    receipt = client.get(f"/api/v1/public/predictions/{answer['prediction_id']}/receipt").json()
    vector = receipt["feature_vector"]
    return dict(zip(vector["features"], vector["values"][-1], strict=True))


def logged(own):
    """Number of forecasts in the log."""
    return sum(
        open_log(path).execute("SELECT count(*) FROM forecasts").fetchone()[0] for path in log_paths(own.settings)
    )


def test_the_stored_values_give_the_stored_forecast_bit_for_bit(client, stored):
    answer = client.post(PREDICT, json=ASKED | {"features": {"return_5d": stored["return_5d"]}}).json()
    assert "what_if" in answer, answer
    own, said = answer["what_if"], answer["prediction"]
    assert {name: own["forecast"][name] for name in ("p10", "p50", "p90", "confidence")} == {
        name: said[name] for name in ("p10", "p50", "p90", "confidence")
    }
    assert set(own["delta"].values()) <= {0.0, None}


def test_another_value_gives_another_forecast_beside_the_same_stored_one(client, stored):
    plain = client.post(PREDICT, json=ASKED).json()
    changed = stored["return_5d"] + 0.05
    answer = client.post(PREDICT, json=ASKED | {"features": {"return_5d": changed}}).json()
    assert answer["prediction"] == plain["prediction"]
    own = answer["what_if"]
    assert own["kind"] == "what_if"
    assert own["forecast"]["p50"] != plain["prediction"]["p50"]
    assert own["delta"]["p50"] == pytest.approx(own["forecast"]["p50"] - plain["prediction"]["p50"], abs=1e-12)
    (moved,) = own["moved"]
    assert (moved["feature"], moved["before"]) == ("return_5d", stored["return_5d"])
    assert moved["after"] == pytest.approx(changed)
    assert "It is not stored" in own["note"]
    assert "what_if" not in plain


def test_a_value_outside_what_training_saw_is_told(client):
    own = client.post(PREDICT, json=ASKED | {"features": {"return_5d": 3.0}}).json()["what_if"]
    assert (own["is_inside_range"], own["moved"][0]["is_inside_range"]) == (False, False)


@pytest.mark.parametrize(
    ("features", "status", "kind", "word"),
    [
        ({"return_5": 0.01}, 422, "unknown-feature", "return_5d"),
        ({"rsi_14": 400.0}, 422, "invalid-request", "between"),
        ({}, 422, "invalid-request", "features"),
        ({"return_5d": "high"}, 422, "invalid-request", "features.return_5d"),
    ],
)
def test_what_cannot_be_is_refused(client, features, status, kind, word):
    answer = client.post(PREDICT, json=ASKED | {"features": features})
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")
    assert word in answer.text


def test_an_unknown_feature_is_refused_before_anything_is_forecast(client, own):
    before = logged(own)
    client.post(PREDICT, json=ASKED | {"features": {"return_5": 0.01}})
    assert logged(own) == before


def test_own_values_enter_no_table_and_no_outcome(client, own):
    before = logged(own)
    answers = [
        client.post(PREDICT, json=ASKED | {"features": {"return_5d": value}}).json() for value in (-0.2, 0.1, 0.25)
    ]
    assert logged(own) == before + len(answers), "the forecasts of the stored values, and nothing else"
    lake = Lake.open(own.settings)
    drain(lake, own.settings)
    mature(lake, own.clock)
    rows = {row["forecast_id"]: row for row in lake.read(FORECASTS).iter_rows(named=True)}
    assert {row["kind"] for row in rows.values()} == {"served"}
    own_medians = {answer["what_if"]["forecast"]["p50"] for answer in answers}
    assert not own_medians & {row["p50"] for row in rows.values()}
    for answer in answers:
        assert rows[answer["prediction_id"]]["p50"] == answer["prediction"]["p50"]
    assert not lake.exists(OUTCOMES) or lake.read(OUTCOMES).height == 0


def test_the_client_asks_with_own_values(app, own, served):
    key = headers_of(own.settings)["authorization"].removeprefix("Bearer ")
    with served(app) as address, Client(address, key) as asking:
        answer = asking.predict_with_values("KO", {FORECAST_V2.features[0]: 0.01}, 1)
        assert answer.what_if is not None
        assert answer.what_if.moved[0].feature == FORECAST_V2.features[0]
        assert asking.predict("KO", 1).what_if is None
