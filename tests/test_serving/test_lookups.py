"""What can be looked up, against the tables it comes from; what cannot be is refused, never made up."""

import dataclasses
import json
import math
from datetime import datetime
from types import SimpleNamespace

import polars as pl
import pytest

from feature_repo.catalog import FEATURES_TECHNICAL, GROUPS, MODEL_FEATURES
from feature_repo.online import OnlineReader
from lake.store import Lake
from lake.tables import FORECASTS, RECEIPTS, REGIMES, STRATEGY_ASSIGNMENTS
from lake.universe import SYMBOLS
from serving.api import FeatureSchemaAnswer, PredictAnswer, StoredForecast
from serving.client import STORED
from serving.deployment import Champions
from serving.forecast_log import ForecastLog, LogEntry, LogReader, drain, in_lake, log_paths
from serving.predict import Predictor, Question
from serving.web.app import build_app
from serving.web.regime_opinion import opinion_of
from support.clients import client_of

PUBLIC = "/api/v1/public"
NOBODY = "redis://127.0.0.1:1025/0"
"""A port that no Redis listens on."""


@pytest.fixture
def settings(home, tmp_path):
    """The home's settings, with a lake of forecasts, a log and keys of their own, and no cache."""
    return home.settings.model_copy(update={"home": tmp_path, "redis_url": NOBODY})


@pytest.fixture(scope="module")
def parts(home):
    return OnlineReader(home.settings), Champions(home.settings)


@pytest.fixture
def predictor(home, settings, parts):
    made = Predictor(*parts, ForecastLog.open(settings), LogReader(settings), home.clock)
    yield made
    made.log.close()


@pytest.fixture
def client(predictor):
    return client_of(build_app(predictor))


class Without:
    """The real online store with some rows taken out or changed on the way."""

    def __init__(self, reader, view=None, change=lambda _: None):
        self._reader, self._view, self._change = reader, view, change

    def __getattr__(self, name):
        return getattr(self._reader, name)

    def row(self, view, name):
        row = self._reader.row(view, name)
        return self._change(row) if view == self._view else row


def test_features_are_those_of_the_table_at_the_last_close(client, home):
    said = client.get(f"{PUBLIC}/features/latest/KO").json()
    rows = home.lake.read_as_of(FEATURES_TECHNICAL, home.clock.now())
    row = rows.filter(rows["symbol"] == "KO").sort("event_time").row(-1, named=True)
    assert said["features"] == {name: row[name] for name in said["features"]}
    assert set(said["features"]) == {feature.name for feature in GROUPS[0]}
    assert (said["is_expired"], said["is_degraded"]) == (False, False)


def test_what_is_not_known_is_null(predictor, parts):
    def spoil(row):
        return dataclasses.replace(row, values=row.values | {"return_1d": math.nan, "return_5d": None})

    client = client_of(build_app(Predictor(Without(parts[0], "technical", spoil), *parts_of(predictor))))
    said = client.get(f"{PUBLIC}/features/latest/KO").json()["features"]
    assert (said["return_1d"], said["return_5d"]) == (None, None)
    assert said["return_20d"] is not None


def parts_of(predictor):
    return predictor.champions, predictor.log, predictor.logged, predictor.clock


def test_the_regime_is_that_of_the_table(client, home):
    said = client.get(f"{PUBLIC}/regime/KO").json()
    row = home.lake.read_as_of(REGIMES, home.clock.now()).sort("event_time").row(-1, named=True)
    shared = set(said) & set(row) - {"known_time"}
    assert {name: said[name] for name in shared} == {name: row[name] for name in shared}
    assert {"regime", "volatility_state", "trend_state", "volatility", "trend_gap"} <= shared
    beside = said["hidden_markov"]
    assert beside["turbulent_probability"] == row["high_volatility_probability"]
    assert beside["rising_probability"] == row["uptrend_probability"]


HIDDEN = ("high_volatility_probability", "uptrend_probability")


@pytest.mark.parametrize("trend", ["uptrend", "downtrend"])
@pytest.mark.parametrize("state", ["low_volatility", "high_volatility"])
@pytest.mark.parametrize(("turbulent", "rising"), [(0.05, 0.003), (0.9, 0.6), (None, 0.9), (0.2, math.nan)])
def test_a_regime_is_one_truth_and_another_method_has_names_of_its_own(trend, state, turbulent, rising):
    row = {"volatility_state": state, "trend_state": trend, "trend_gap": 0.02 if trend == "uptrend" else -0.02}
    said = opinion_of(row | dict(zip(HIDDEN, (turbulent, rising), strict=True)))
    words = set(said.model_dump_json().replace('"', " ").split())
    assert not words & {"high_volatility", "low_volatility", "uptrend_probability"}
    assert {"uptrend.": "downtrend.", "downtrend.": "uptrend."}[f"{trend}."] not in said.explanation
    if said.agrees is None:
        assert None in (said.volatility, said.drift)
    else:
        is_same = (said.volatility == "turbulent") == (state == "high_volatility")
        assert said.agrees == (is_same and (said.drift == "rising") == (trend == "uptrend"))
        assert said.agrees == ("where" not in said.explanation)


def test_the_strategy_is_that_of_the_table(client, home, weights):
    said = client.get(f"{PUBLIC}/strategy/KO").json()
    rows = home.lake.read_as_of(STRATEGY_ASSIGNMENTS, home.clock.now())
    row = rows.filter(rows["symbol"] == "KO").row(-1, named=True)
    assert {part["name"]: part["weight"] for part in said["strategies"]} == weights
    assert {name: said[name] for name in ("regime", "selected_strategy", "confidence")} == {
        name: row[name] for name in ("regime", "selected_strategy", "confidence")
    }
    assert {part["name"]: part["model"] for part in said["strategies"]}["buy_and_hold"] == "naive"


def test_every_feature_is_declared_with_unit_formula_and_look_back(client):
    said = FeatureSchemaAnswer.model_validate(client.get(f"{PUBLIC}/features/schema").json())
    declared = {feature.name: feature for group in GROUPS for feature in group}
    shown = {feature.name: feature for table in said.tables for feature in table.features}
    assert shown.keys() == declared.keys()
    for name, feature in declared.items():
        found = shown[name]
        assert (found.unit, found.formula, found.lookback_sessions) == (feature.unit, feature.formula, feature.lookback)
    assert [name for name, found in shown.items() if found.is_model_input] == list(MODEL_FEATURES)
    assert [table.table for table in said.tables if table.is_online] == ["features_technical"]


@pytest.mark.parametrize("route", ["features/latest", "regime", "strategy", "predictions/latest"])
def test_an_unknown_symbol_is_404_with_the_nearest_and_an_odd_one_is_no_surprise(client, route):
    answer = client.get(f"{PUBLIC}/{route}/APPL")
    assert answer.status_code == 404
    assert answer.json()["nearest"][0] == "AAPL"
    assert answer.json()["type"] == "/problems/unknown-symbol"
    for odd in ("aapl", "%F0%9F%8D%8E", "A" * 33, "%00", "..%2F", "KO%0A"):
        assert client.get(f"{PUBLIC}/{route}/{odd}").status_code in {404, 422}


@pytest.mark.parametrize(
    ("route", "view", "said"),
    [
        ("features/latest", "technical", "KO has no features yet"),
        ("strategy", "strategy", "No strategy has been selected for KO yet"),
        ("regime", "regime", "regime is not known yet"),
    ],
)
def test_what_is_known_and_not_ready_is_409(predictor, parts, route, view, said):
    client = client_of(build_app(Predictor(Without(parts[0], view), *parts_of(predictor))))
    answer = client.get(f"{PUBLIC}/{route}/KO")
    assert answer.status_code == 409
    assert said in answer.json()["detail"]


def test_the_newest_forecast_is_the_last_one_stored(client, predictor):
    answer = client.get(f"{PUBLIC}/predictions/latest/KO")
    assert answer.status_code == 409
    assert "No forecast of KO over 1 session is stored yet" in answer.json()["detail"]
    for horizon in (1, 5):
        for _ in range(3):
            last = predictor.predict(["KO", "GE"], horizon).texts[0]
        assert client.get(f"{PUBLIC}/predictions/latest/KO?horizon_sessions={horizon}").text == last
    assert (
        client.get(f"{PUBLIC}/predictions/latest/KO?horizon_sessions=2").json()["type"] == "/problems/unknown-horizon"
    )
    for odd in ("0", "x", "1.5", "-1", "253", ""):
        assert client.get(f"{PUBLIC}/predictions/latest/KO?horizon_sessions={odd}").status_code == 422


def test_of_a_forecast_that_only_the_table_holds_it_says_what_that_holds(client, predictor, settings):
    answers = [PredictAnswer.model_validate_json(text) for text in predictor.predict(["KO", "GE"], 5).texts]
    (shadow,) = predictor.compute([Question(["KO"], 5, kind="shadow")])
    predictor.log.write(shadow.entries)
    drain(Lake.open(settings), settings)
    predictor.log.close()
    gone = build_app(
        Predictor(
            predictor.online,
            predictor.champions,
            ForecastLog(settings.home / "x"),
            LogReader(settings.model_copy(update={"home": settings.home / "elsewhere"})),
            predictor.clock,
        )
    )
    gone.state.latest.lake = Lake.open(settings)
    client = client_of(gone, settings)
    for answer in answers:
        for path in (answer.prediction_id, f"latest/{answer.symbol}?horizon_sessions=5"):
            found = client.get(f"{PUBLIC}/predictions/{path}")
            assert found.headers["x-answered-by"] == "table"
            stored = StoredForecast.model_validate(found.json())
            said = answer.prediction
            assert (stored.prediction_id, stored.kind) == (answer.prediction_id, "served")
            assert (stored.p10, stored.p50, stored.p90) == (said.p10, said.p50, said.p90)
            assert stored.target_price == said.target_price
            words = (said.direction, said.confidence, said.outlook)
            assert (stored.direction, stored.confidence, stored.outlook) == words
            assert stored.feature_hash == answer.data.feature_hash
    hidden = shadow.entries[0].row["forecast_id"]
    assert client.get(f"{PUBLIC}/predictions/{hidden}").status_code == 404


def test_a_stored_forecast_without_an_intact_receipt_says_no_confidence(predictor, settings, lake_of_one):
    """Neither one that is not there nor one that was edited: a confidence is what was answered, or null."""
    forecast_id = lake_of_one.read(FORECASTS)["forecast_id"].item()
    assert in_lake(lake_of_one, forecast_id).confidence is not None
    receipts = lake_of_one.read(RECEIPTS)
    for change in (receipts.with_columns(seal=pl.lit("0" * 64)), receipts.clear()):
        without = SimpleNamespace(
            market=lake_of_one.market,
            exists=lake_of_one.exists,
            scan=lambda spec, change=change: change.lazy() if spec is RECEIPTS else lake_of_one.scan(spec),
        )
        found = in_lake(without, forecast_id)
        assert (found.direction is not None, found.confidence, found.outlook) == (True, None, None)


def test_a_stored_price_on_a_basis_that_nobody_stated_is_no_price(lake_of_one):
    forecast_id = lake_of_one.read(FORECASTS)["forecast_id"].item()
    assert in_lake(lake_of_one, forecast_id).reference_price is not None
    earlier = lake_of_one.read(FORECASTS).with_columns(price_basis=None, currency=None, target_session=None)
    before = SimpleNamespace(
        market=lake_of_one.market,
        exists=lake_of_one.exists,
        scan=lambda spec: earlier.lazy() if spec is FORECASTS else lake_of_one.scan(spec),
    )
    found = in_lake(before, forecast_id)
    assert (found.reference_price, found.target_price, found.price_basis) == (None, None, None)
    assert found.p50 == earlier["p50"].item()


@pytest.fixture
def lake_of_one(predictor, settings):
    """A lake that holds one served forecast, of a symbol with prices as traded, with its receipt."""
    predictor.predict(["AAPL"], 5)
    lake = Lake.open(settings)
    drain(lake, settings)
    return lake


def test_an_answer_from_before_the_outlook_is_answered_as_it_was_and_read_with_it(client, predictor):
    entry = predictor.predict(["KO"], 1).entries[0]
    earlier = json.loads(entry.answer)
    outlook = earlier["prediction"].pop("outlook")
    text, forecast_id = json.dumps(earlier), "1" * 32
    predictor.log.write([LogEntry(dict(entry.row) | {"forecast_id": forecast_id}, text)])
    found = client.get(f"{PUBLIC}/predictions/{forecast_id}").text
    assert found == text
    assert STORED.validate_json(found).prediction.outlook == outlook


def test_a_challengers_forecast_cannot_be_looked_up(client, predictor):
    (shadow,) = predictor.compute([Question(["KO"], 1, kind="shadow")])
    predictor.log.write(shadow.entries)
    hidden = shadow.entries[0].row["forecast_id"]
    assert client.get(f"{PUBLIC}/predictions/{hidden}").status_code == 404


def test_an_id_that_is_none_asks_neither_log_nor_table(client, predictor, monkeypatch):
    monkeypatch.setattr(predictor.logged, "get", None)
    for odd in ("none", "latest", "x" * 36, "0" * 500, "%00", "-" * 36):
        assert client.get(f"{PUBLIC}/predictions/{odd}").status_code == 404


def test_every_symbol_can_be_looked_up(client):
    for symbol in SYMBOLS:
        for route in ("features/latest", "regime", "strategy"):
            assert client.get(f"{PUBLIC}/{route}/{symbol}").status_code == 200


def test_an_entry_is_answered_byte_for_byte(client, predictor):
    text = json.dumps({"odd": "é 字"}, ensure_ascii=False)
    row = dict(predictor.predict(["KO"], 1).entries[0].row) | {"forecast_id": "0" * 32}
    predictor.log.write([LogEntry(row, text)])
    assert client.get(f"{PUBLIC}/predictions/{'0' * 32}").text == text
    assert log_paths(predictor.logged.configured)


def test_status_names_the_models_and_their_proofs(client, exports, home):
    status = client.get("/api/v1/public/models/status").json()
    assert {m["name"]: m["digest"] for m in status["models"]} == {n: e.digest for n, e in exports.items()}
    assert all(m["parity_max_absolute_difference"] <= 1e-5 and m["horizons"] == [1, 5] for m in status["models"])
    assert status["problem"] is None
    assert datetime.fromisoformat(status["market_now"]) == home.clock.now()


def test_every_symbol_is_listed(client):
    listed = client.get("/api/v1/public/symbols").json()["symbols"]
    assert {entry["symbol"] for entry in listed} == set(SYMBOLS)
    assert all(entry["has_model_input"] for entry in listed)


def test_it_is_alive_and_ready(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("url", "asked"), [(f"{PUBLIC}/predict", {"symbol": "AAPL"}), (f"{PUBLIC}/predict/batch", {"symbols": ["AAPL"]})]
)
def test_a_daily_market_asked_in_minutes_names_its_horizons_and_two_horizons_are_none(client, url, asked):
    answer = client.post(url, json=asked | {"horizon_minutes": 60})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-horizon")
    assert "60 minutes" in answer.json()["detail"]
    assert answer.json()["hint"] == "horizon_sessions is one of 1, 5."
    for both in ({}, {"horizon_minutes": 60, "horizon_sessions": 1}):
        answer = client.post(url, json=asked | both)
        assert answer.status_code == 422
        assert "name one horizon" in answer.text
