"""Models in service that were trained for different horizons: who answers which, and what is said where nobody does."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from feature_repo.online import BlendWeights
from feature_repo.targets import FORECAST_V2
from lake.errors import NotReadyError, RefusedModelError, UnknownNameError
from lake.market import Market
from serving.deployment.candidates import LoadedModel, require_candidate
from serving.deployment.champions import LoadedChallenger, LoadedModels
from serving.deployment.record import Challenger, Release
from serving.engines import Bundle, OnnxEngine
from serving.engines.export import export_model
from serving.monitoring import Stopwatch
from serving.predict import Question, bars_ahead, forecast, forecasting
from serving.web.app import build_app
from serving.web.http.problems import explain
from support.clients import client_of
from training.data import fit_scaler
from training.models import InputSpec, OutputSpec, build_network

SINCE = datetime(2013, 1, 1, tzinfo=UTC)
PREDICT = "/api/v1/public/predict"


@pytest.fixture(scope="module")
def short(inputs, exports, tmp_path_factory) -> LoadedModel:
    """A ridge that was trained for one session ahead and nothing else."""
    spec = InputSpec(FORECAST_V2.features, FORECAST_V2.sessions, FORECAST_V2.scaled_for((1,)).scales)
    network = build_network("ridge", spec, OutputSpec((1,)), fit_scaler(inputs)).eval()
    known = exports["ridge"].signature
    folder = tmp_path_factory.mktemp("short") / "ridge"
    versions, until = known.table_versions, known.train_until
    export_model(network, "ridge", FORECAST_V2, versions, inputs, folder, train_until=until, horizons=(1,))
    return loaded(replace(Bundle.load(folder), version="9"))


def loaded(bundle: Bundle) -> LoadedModel:
    return LoadedModel(bundle, OnnxEngine(bundle))


@pytest.fixture
def mixed(champions, short) -> LoadedModels:
    return LoadedModels({**champions.champions, "ridge": short})


def test_a_horizon_is_answered_by_those_that_were_trained_for_it(champions, mixed, rows, model_weights):
    assert (mixed.horizons, mixed.untrained) == ((1, 5), (frozenset(), frozenset({"ridge"})))
    whole, found = forecast(rows, champions), forecast(rows, mixed)
    weights = model_weights[5]
    others = weights["lstm"] + weights["naive"]
    for members in found.members:
        assert {each.name: each.weight for each in members[0]} == model_weights[1]
        assert {each.name: each.weight for each in members[1]} == {
            name: pytest.approx(weights[name] / others) for name in ("lstm", "naive")
        }
    names = ("lstm", "naive")
    blend = BlendWeights(rows[0].as_of, (5, 5), names, tuple(weights[name] / others for name in names))
    two = LoadedModels({name: champions.champions[name] for name in names})
    alone = forecast([replace(row, blend=blend) for row in rows], two)
    assert np.isfinite(found.quantiles).all()
    assert not np.array_equal(found.quantiles[:, 0], whole.quantiles[:, 0]), "another ridge takes part in it"
    np.testing.assert_array_equal(found.quantiles[:, 1], alone.quantiles[:, 1])


def test_the_longer_horizons_of_some_change_no_bit_of_the_shorter_ones(champions, short, rows):
    at_one = LoadedModels({"ridge": short})
    beside = LoadedModels({"lstm": champions.champions["lstm"], "ridge": short})
    blend = replace(rows[0].blend, horizons=(1,), models=("ridge",), weights=(1.0,))
    mine = [replace(row, blend=blend) for row in rows]
    np.testing.assert_array_equal(forecast(mine, at_one).quantiles[:, 0], forecast(mine, beside).quantiles[:, 0])


class FirstHorizon:
    """A loaded model that was trained for the first of its horizons alone."""

    def __init__(self, model):
        signature = model.bundle.signature.model_copy(update={"horizons": (1,)})
        self.bundle, self.engine, self._real = replace(model.bundle, signature=signature), self, model.engine

    def predict(self, x):
        return self._real.predict(x)[:, :1]

    def __getattr__(self, name):
        return getattr(self._real, name)


@pytest.fixture
def first_alone(champions) -> LoadedModels:
    """Models in service of which none was trained for more than one session."""
    return LoadedModels({name: FirstHorizon(model) for name, model in champions.champions.items()})


class Standing:
    """Champions as they are, whatever the deployment says."""

    def __init__(self, models, configured):
        self._models, self.configured, self.problem, self.refusals = models, configured, None, ()

    def current(self):
        return self._models

    def close(self):
        """Nothing is open."""


@pytest.fixture
def asked(home, settings, predicting):
    """Open a predictor whose models in service are these."""

    def over(models):
        return predicting(settings, champions=Standing(models, home.settings))

    return over


def test_a_horizon_that_no_model_in_service_was_trained_for_is_said_with_what_is_offered(asked, first_alone):
    with asked(first_alone) as predictor:
        with pytest.raises(UnknownNameError, match="market 'demo' declares it, and no model in service"):
            predictor.predict(["KO"], 5)
        with pytest.raises(UnknownNameError, match=r"no horizon '20 sessions'. Known: 1 session\.$"):
            predictor.predict(["KO"], 20)


def test_a_horizon_that_is_not_offered_is_refused_before_anything_is_read_or_computed(asked, first_alone):
    watch = Stopwatch()
    with asked(first_alone) as predictor:
        (refused,) = predictor.compute([Question(["KO"], 20)], watch)
        assert isinstance(refused, UnknownNameError)
        assert not {"read", "compute"} & watch.stages.keys()
        (answered, refused) = predictor.compute([Question(["KO"], 1), Question(["IBM"], 20)], watch)
    assert isinstance(refused, UnknownNameError)
    assert [entry.row["symbol"] for entry in answered.entries] == ["KO"], "one does not touch the other"
    assert {"read", "compute"} <= watch.stages.keys()


def test_the_endpoint_names_the_horizons_on_offer(asked, mixed, first_alone):
    for models, offered in ((mixed, "1, 5"), (first_alone, "1")):
        with asked(models) as predictor, client_of(build_app(predictor)) as client:
            answer = client.post(PREDICT, json={"symbol": "KO", "horizon_sessions": 20})
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-horizon")
            assert answer.json()["hint"] == f"horizon_sessions is one of {offered}."


def test_a_horizon_at_which_no_trained_model_has_a_weight_waits_and_holds_up_no_other(asked, mixed, rows, monkeypatch):
    blend = BlendWeights(rows[0].as_of, (1, 5), ("naive", "ridge"), (1.0, 1.0))
    found = forecast([replace(row, blend=blend) for row in rows], mixed)
    assert np.isfinite(found.quantiles[:, 0]).all()
    assert np.isnan(found.quantiles[:, 1]).all()
    monkeypatch.setattr(forecasting, "_weights", forecasting._weights.__wrapped__)
    monkeypatch.setattr(BlendWeights, "of_horizon", lambda _, horizon: {"naive": 1.0} if horizon == 1 else {})
    with asked(mixed) as predictor:
        answers, error = predictor.compute([Question(["KO"], 1), Question(["KO"], 5)])
        assert len(answers.entries) == 1
        assert isinstance(error, NotReadyError)
        assert "KO has no forecast over 5 sessions yet" in str(error)
        assert "quantlake advance" in str(error)


def test_a_receipt_names_the_models_whose_weight_the_others_share(asked, mixed):
    with asked(mixed) as predictor:
        for horizon, untrained in ((1, []), (5, ["ridge"])):
            (entry,) = predictor.predict(["KO"], horizon).entries
            assert json.loads(entry.receipt).get("untrained", []) == untrained


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_a_challenger_of_fewer_horizons_stands_in_over_its_own(champions, short, rows, mode):
    said = Challenger(model="ridge", version="9", digest=short.bundle.digest, mode=mode, share=1.0, since=SINCE)
    plain = forecast(rows, champions)
    tried = forecast(rows, replace(champions, challengers=(LoadedChallenger(said, short),)))
    for place in range(len(rows)):
        shadow = tried.shadows[place][0]
        answered = tried.quantiles[place], tried.members[place]
        challenged = answered if mode == "canary" else shadow
        assert not np.array_equal(challenged[0][0], plain.quantiles[place][0])
        assert np.array_equal(challenged[0][1], plain.quantiles[place][1])
        versions = [{each.name: each.version for each in of}["ridge"] for of in challenged[1]]
        assert versions == ["9", "1"]


def test_a_version_of_some_of_the_markets_horizons_is_put_in_service_and_others_are_refused_by_name(
    copy_home, tmp_path, put, sign_anew, short, exports
):
    mine = copy_home(tmp_path / "mine")
    release = put(mine.settings, short.bundle, "9", is_champion=False)
    assert require_candidate(mine.settings, "ridge", release).bundle.signature.horizons == (1,)
    folder = mine.settings.models / "ridge" / "10"
    sign_anew(exports["ridge"].folder, folder, exports["ridge"].content, horizons=[5, 20])
    wrong = Release(version="10", digest=hashlib.sha256(exports["ridge"].content).hexdigest())
    with pytest.raises(
        RefusedModelError,
        match=r"horizons 5 sessions, 20 sessions, and the market 'demo' declares 1 session, 5 sessions: 20 sessions is "
        r"not among them. Train and promote the model again with `make demo`",
    ):
        require_candidate(mine.settings, "ridge", wrong)


def test_a_market_of_minutes_and_sessions_is_asked_in_both_and_offers_both():
    market = Market("desk", calendar="24/7", interval="15m", horizons=("15 minutes", "60 minutes", "1 session"))
    assert [bars_ahead(market, None, 60), bars_ahead(market, 1, None)] == [4, 1_000]
    with pytest.raises(UnknownNameError, match="Known: 1 session, 15 minutes, 60 minutes") as no:
        bars_ahead(market, 5, None)
    offered = [market.horizon_of(bars) for bars in market.horizon_bars]
    said = explain(no.value, {"path": PREDICT}, offered)
    assert said.hint == "horizon_minutes is one of 15, 60; horizon_sessions is one of 1."
