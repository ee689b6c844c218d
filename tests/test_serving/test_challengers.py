"""What a challenger sees, what it may answer, and what is written down of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from feature_repo.online import OnlineReader
from lake.errors import EngineError, NotReadyError, RefusedModelError, UnknownNameError
from lake.store import Lake
from lake.tables import AUDIT, FORECASTS, PROMOTIONS
from lake.universe import SYMBOLS
from serving.deployment import (
    Champions,
    DeploymentContext,
    LoadedChallenger,
    is_within,
    put_on_trial,
    read_deployment,
    roll_back,
)
from serving.deployment.candidates import LoadedModel
from serving.deployment.moves import promote
from serving.deployment.record import Challenger, write_deployment
from serving.engines import OnnxEngine
from serving.forecast_log import ForecastLog, LogReader, rows_from_json
from serving.forecasts import Calibration, calibrate
from serving.predict import Predictor, Question, forecast
from serving.predict.forecast_cache import ForecastCache
from serving.predict.scheduled import schedule
from serving.web.app import build_app
from support.clients import client_of

SINCE = datetime(2013, 1, 1, tzinfo=UTC)
PUBLIC, INTERNAL = "/api/v1/public", "/api/v1/internal/models"


@pytest.fixture
def trial(champions, variant):
    """Champions with versions on trial: ``trial(("lstm", "canary", 0.5), ...)``."""

    def on(*wanted):
        challengers = []
        for model, mode, share in wanted:
            bundle = replace(variant(model, 1), version="8")
            said = Challenger(model=model, version="8", digest=bundle.digest, mode=mode, share=share, since=SINCE)
            challengers.append(LoadedChallenger(said, LoadedModel(bundle, OnnxEngine(bundle))))
        return replace(champions, challengers=tuple(challengers))

    return on


class Failing:
    """A loaded model whose engine fails the first times it is asked."""

    def __init__(self, loaded, times=1_000):
        self.bundle, self.engine, self._real, self._times, self.asked = loaded.bundle, self, loaded.engine, times, []

    def predict(self, x):
        self.asked.append(len(x))
        if len(self.asked) <= self._times:
            raise EngineError("no forecast today")
        return self._real.predict(x)

    def __getattr__(self, name):
        return getattr(self._real, name)


def part(members, model):
    """Return the part of a model, which is the same version over every horizon."""
    of_horizons = [next(member for member in each if member.name == model) for each in members]
    assert len({one.digest for one in of_horizons}) == 1
    return of_horizons[0]


def test_a_share_is_stable_nested_and_about_as_large_as_said():
    names = [f"S{number}" for number in range(4_000)]
    for share in (0.05, 0.2, 0.5, 1.0):
        within = {name for name in names if is_within("lstm", "4", name, share)}
        assert abs(len(within) / len(names) - share) < 0.03
        assert within <= {name for name in names if is_within("lstm", "4", name, min(1.0, share * 1.5))}
    other = {name for name in names if is_within("lstm", "5", name, 0.2)}
    mine = {name for name in names if is_within("lstm", "4", name, 0.2)}
    assert len(mine & other) < 0.1 * len(names)
    # printf 'lstm 4 AAPL' | sha256sum begins with these digits
    begins = int("19dbabede45cc023", 16) / 16**16
    assert is_within("lstm", "4", "AAPL", begins + 1e-9)
    assert not is_within("lstm", "4", "AAPL", begins - 1e-9)


def test_in_the_shadow_a_challenger_changes_no_bit_of_an_answer(champions, rows, trial):
    plain, shadowed = forecast(rows, champions), forecast(rows, trial(("lstm", "shadow", 0.5)))
    assert np.array_equal(plain.quantiles, shadowed.quantiles)
    assert plain.members == shadowed.members
    assert plain.shadows == {}
    within = [place for place, row in enumerate(rows) if is_within("lstm", "8", row.symbol, 0.5)]
    assert sorted(shadowed.shadows) == within
    assert 0 < len(within) < len(rows)
    for place in within:
        (said,) = shadowed.shadows[place]
        assert part(said.members, "lstm").version == "8"
        assert part(said.members, "ridge") == part(plain.members[place], "ridge")
        assert not np.array_equal(said.quantiles, plain.quantiles[place])


def test_a_canary_answers_for_its_symbols_and_the_champion_is_its_shadow(champions, rows, trial):
    plain, shadowed = forecast(rows, champions), forecast(rows, trial(("lstm", "shadow", 0.5)))
    canary = forecast(rows, trial(("lstm", "canary", 0.5)))
    assert canary.shadows.keys() == shadowed.shadows.keys()
    for place in range(len(rows)):
        if place not in canary.shadows:
            assert np.array_equal(canary.quantiles[place], plain.quantiles[place])
            assert canary.members[place] == plain.members[place]
            continue
        assert np.array_equal(canary.quantiles[place], shadowed.shadows[place][0].quantiles)
        assert part(canary.members[place], "lstm").version == "8"
        (said,) = canary.shadows[place]
        assert np.array_equal(said.quantiles, plain.quantiles[place])
        assert said.members == plain.members[place]


def test_a_shadow_is_calibrated_like_the_answer(champions, rows, trial):
    calibration = Calibration(rows[0].as_of, rows[0].regime, (1, 5), (0.5, 2.0), (1.5, 1.25), (1.0, 1.0), (9.0, 9.0))
    corrected = [replace(row, calibration=calibration) for row in rows]
    plain, canary = forecast(corrected, champions), forecast(corrected, trial(("lstm", "canary", 1.0)))
    bare = forecast([replace(row, calibration=None) for row in rows], trial(("lstm", "canary", 1.0)))
    for place in range(len(rows)):
        (champion,) = canary.shadows[place]
        assert np.array_equal(champion.quantiles, plain.quantiles[place])
        expected = calibrate(bare.quantiles[place][None], champions.horizons, [calibration])[0]
        assert np.array_equal(canary.quantiles[place], expected)
        assert not np.array_equal(canary.quantiles[place], bare.quantiles[place])


def test_the_shadow_of_one_model_knows_nothing_of_the_canary_of_another(champions, rows, trial):
    alone = forecast(rows, trial(("ridge", "shadow", 1.0)))
    for order in (
        (("lstm", "canary", 1.0), ("ridge", "shadow", 1.0)),
        (("ridge", "shadow", 1.0), ("lstm", "canary", 1.0)),
    ):
        both = forecast(rows, trial(*order))
        for place in range(len(rows)):
            by_rest = {part(said.members, "ridge").version: said for said in both.shadows[place]}
            assert np.array_equal(by_rest["8"].quantiles, alone.shadows[place][0].quantiles)
            assert part(by_rest["8"].members, "lstm").version == "1"
            assert part(both.members[place], "lstm").version == "8"
            assert part(both.members[place], "ridge").version == "1"


def test_a_model_without_a_weight_takes_no_part(champions, rows, trial):
    alone = replace(rows[0].blend, horizons=(1, 5), models=("ridge", "ridge"), weights=(1.0, 1.0))
    other = [replace(row, blend=alone) for row in rows]
    found = forecast(other, trial(("lstm", "canary", 1.0)))
    assert found.shadows == {}
    assert np.array_equal(found.quantiles, forecast(other, champions).quantiles)


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_where_a_challenger_fails_its_champion_answers(champions, rows, trial, mode, caplog):
    models = trial(("lstm", mode, 1.0))

    ill = replace(
        models, challengers=(LoadedChallenger(models.challengers[0].trial, Failing(models.challengers[0].loaded)),)
    )
    found = forecast(rows, ill)
    assert found.shadows == {}
    assert np.array_equal(found.quantiles, forecast(rows, champions).quantiles)
    assert "its champion answers" in caplog.text


def test_a_challenger_that_failed_is_called_again_although_forecasts_are_cached(home, trial, tmp_path):
    models = trial(("lstm", "shadow", 1.0))
    (challenger,) = models.challengers
    failing = Failing(challenger.loaded, times=1)
    ill = replace(models, challengers=(LoadedChallenger(challenger.trial, failing),))
    settings = home.settings.model_copy(update={"home": tmp_path / "home"})
    log = ForecastLog.open(settings)
    predictor = Predictor(
        OnlineReader(home.settings), Champions(home.settings), log, LogReader(settings), home.clock, ForecastCache(100)
    )
    predictor.champions.current = lambda: ill
    answers = [predictor.predict(SYMBOLS[:3], 1) for _ in range(3)]
    assert [len(answer.shadows) for answer in answers] == [0, 3, 3]
    assert failing.asked == [3, 3]
    predictor.close()


@pytest.fixture
def apart(home, tmp_path, exports, variant, put):
    """A service in this process over models of its own: two versions of `lstm`, a third one only placed."""
    settings = home.settings.model_copy(update={"home": tmp_path / "home"})
    for bundle in exports.values():
        put(settings, bundle, "1")
    put(settings, variant("lstm", 1), "2")
    put(settings, variant("lstm", 2), "3", is_champion=False)
    online, log = OnlineReader.open(home.settings), ForecastLog.open(settings)
    predictor = Predictor(online, Champions(settings).watch(), log, LogReader(settings), home.clock)
    yield predictor
    predictor.close()


@pytest.fixture
def client(apart):
    return client_of(build_app(apart))


@pytest.fixture
def context(apart):
    settings = apart.champions.configured
    return DeploymentContext(lake=Lake.open(settings), configured=settings, clock=apart.clock, who="test")


def logged(predictor):
    paths = predictor.champions.configured.home.glob("forecast_log*.sqlite")
    import sqlite3

    texts = [row for path in paths for (row,) in sqlite3.connect(path).execute("SELECT row FROM forecasts")]
    return rows_from_json(texts)


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_what_is_not_answered_is_logged_and_found_by_nobody(apart, client, context, mode):
    put_on_trial(context, "lstm", "3", mode, 1.0)
    apart.champions.look()
    answer = client.post(f"{PUBLIC}/predict", json={"symbol": "AAPL", "horizon_sessions": 1}).json()
    rows = {row["kind"]: row for row in logged(apart).to_dicts()}
    assert set(rows) == {"served", "shadow"}
    assert rows["served"]["forecast_id"] == answer["prediction_id"]
    assert ("lstm-3" in rows["served"]["model_version"]) == (mode == "canary")
    assert ("lstm-3" in rows["shadow"]["model_version"]) == (mode == "shadow")
    assert rows["served"]["model_digest"] != rows["shadow"]["model_digest"]
    hidden = rows["shadow"]["forecast_id"]
    assert client.get(f"{PUBLIC}/predictions/{hidden}").status_code == 404
    assert client.get(f"{PUBLIC}/predictions/{hidden}/receipt").status_code == 404
    newest = client.get(f"{PUBLIC}/predictions/latest/AAPL").json()
    assert hidden not in json.dumps(newest)
    assert apart.logged.newest("AAPL", 1).forecast_id == answer["prediction_id"]


def test_where_a_model_has_no_weight_its_challenger_says_nothing(apart, context, monkeypatch):
    """At that horizon its forecast would be the answer itself, and a pair to judge it by that are always equal."""
    put_on_trial(context, "lstm", "3", "shadow", 1.0)
    apart.champions.look()
    read = apart.online.read
    weights = {"horizons": (1, 5, 5), "models": ("ridge", "lstm", "ridge"), "weights": (1.0, 0.5, 0.5)}

    def weighted(symbols):
        batch = read(symbols)
        return replace(batch, blend=replace(batch.blend, **weights))

    monkeypatch.setattr(apart.online, "read", weighted)
    assert [len(apart.predict(SYMBOLS[:3], horizon).shadows) for horizon in (1, 5)] == [0, 3]


def test_without_a_trial_nothing_else_is_logged(apart):
    apart.predict(SYMBOLS[:5], 1)
    assert logged(apart)["kind"].unique().to_list() == ["served"]


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_scheduled_forecasts_gather_evidence_once(apart, context, mode):
    settings = apart.champions.configured
    put_on_trial(context, "lstm", "3", mode, 1.0)
    apart.champions.look()
    report = schedule(context.lake, settings, apart, lambda _: None)
    assert schedule(context.lake, settings, apart, lambda _: None).skipped
    stored = context.lake.read(FORECASTS)
    by_kind = {kind: stored.filter(kind=kind).select("symbol", "horizon_sessions") for kind in ("scheduled", "shadow")}
    assert report.added == by_kind["scheduled"].height
    assert sorted(by_kind["shadow"].rows()) == sorted(by_kind["scheduled"].rows())


def test_scheduled_forecasts_take_part_like_any_other(apart, context):
    put_on_trial(context, "lstm", "3", "canary", 1.0)
    apart.champions.look()
    apart.answer(Question(SYMBOLS[:5], 1, kind="scheduled"))
    assert logged(apart)["kind"].value_counts().sort("kind").rows() == [("scheduled", 5), ("shadow", 5)]
    assert logged(apart).schema == FORECASTS.schema


def test_operators_move_models_over_http_and_every_move_is_written_down(apart, client, context):
    body = {"model": "lstm", "version": "3", "share": 0.5}
    for mode in ("shadow", "canary"):
        move = client.post(f"{INTERNAL}/{mode}", json=body).json()
        assert (move["alias"], move["version"]) == (mode, "3")
        (trial,) = client.get(f"{PUBLIC}/models/status").json()["challengers"]
        assert (trial["mode"], trial["share"], trial["digest"]) == (mode, 0.5, move["digest"])
    assert client.post(f"{INTERNAL}/rollback", json={"model": "lstm"}).json()["alias"] == "canary"
    assert client.get(f"{PUBLIC}/models/status").json()["challengers"] == []
    back = client.post(f"{INTERNAL}/rollback", json={"model": "lstm"}).json()
    assert (back["alias"], back["previous"], back["version"]) == ("champion", "2", "1")
    assert apart.champions.current().bundles["lstm"].version == "1"
    moves = context.lake.read(PROMOTIONS).sort("event_time").select("alias", "model_version", "previous_version").rows()
    assert moves == [("shadow", "3", None), ("canary", "3", "3"), ("canary", "2", "3"), ("champion", "1", "2")]
    said = context.lake.read(AUDIT).sort("sequence").filter(result="done")["what"].to_list()
    assert [what for what in said if what.startswith("model.")] == [
        "model.shadow", "model.canary", "model.rollback", "model.rollback",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("route", "body", "status", "slug"),
    [
        ("canary", {"model": "nope", "version": "1", "share": 0.5}, 404, "unknown-model"),
        ("canary", {"model": "lstm", "version": "77", "share": 0.5}, 404, "unknown-model"),
        ("canary", {"model": "lstm", "version": "2", "share": 0.5}, 409, "not-ready"),
        ("canary", {"model": "lstm", "version": "4", "share": 0.5}, 409, "model-refused"),
        ("canary", {"model": "lstm", "version": "3", "share": 0}, 422, "invalid-request"),
        ("canary", {"model": "lstm", "version": "3", "share": 1.5}, 422, "invalid-request"),
        ("shadow", {"model": "lstm", "version": "3"}, 422, "invalid-request"),
        ("rollback", {"model": "nope"}, 404, "unknown-model"),
        ("rollback", {"model": "ridge"}, 409, "not-ready"),
        ("benchmark", {"seconds": 3600}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(apart, client, variant, put, route, body, status, slug):
    settings = apart.champions.configured
    put(settings, variant("lstm", 3), "4", is_champion=False)
    (settings.models / "lstm" / "4" / "model.onnx").write_bytes(b"x")
    before = read_deployment(settings)
    answer = client.post(f"{INTERNAL}/{route}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
    assert read_deployment(settings) == before


def test_a_reload_takes_up_what_was_written_and_tries_again(apart, client, variant, put):
    put(apart.champions.configured, variant("ridge", 1), "2")
    status = client.post(f"{INTERNAL}/reload").json()
    assert {one["name"]: one["version"] for one in status["models"]} == {"lstm": "2", "naive": "1", "ridge": "2"}


def test_a_benchmark_times_every_engine_on_real_windows(apart, client, context):
    put_on_trial(context, "lstm", "3", "shadow", 1.0)
    apart.champions.look()
    engines = client.post(f"{INTERNAL}/benchmark", json={"seconds": 0.2, "windows": 16}).json()["engines"]
    assert [(one["model"], one["role"]) for one in engines] == [
        ("lstm", "champion"), ("naive", "champion"), ("ridge", "champion"), ("lstm", "shadow"),
    ]  # fmt: skip
    for one in engines:
        assert one["windows"] == 16
        assert one["calls"] >= 3
        assert 0 < one["median_ms"] <= one["p95_ms"]
        assert one["windows_per_second"] == pytest.approx(16 / one["median_ms"] * 1e3)


def test_moves_are_refused_where_they_make_no_sense(context):
    with pytest.raises(NotReadyError, match="in service already"):
        promote(context, "lstm", "2")
    with pytest.raises(NotReadyError, match="the champion is 2"):
        put_on_trial(context, "lstm", "2", "shadow", 1.0)
    with pytest.raises(UnknownNameError, match="no model 'nope'"):
        roll_back(context, "nope")
    with pytest.raises(NotReadyError, match="not on trial any more"):
        roll_back(context, "lstm", only="3")


def test_roll_backs_lead_back_step_by_step(context):
    promote(context, "lstm", "3")
    assert read_deployment(context.configured).former["lstm"] == ("1", "2")
    assert [roll_back(context, "lstm").version for _ in range(2)] == ["2", "1"]
    with pytest.raises(NotReadyError, match="no champion came before version 1"):
        roll_back(context, "lstm")


def test_a_roll_back_to_files_that_were_harmed_is_refused(context):
    (context.configured.models / "lstm" / "1" / "model.onnx").write_bytes(b"x")
    with pytest.raises(RefusedModelError, match="altered after export"):
        roll_back(context, "lstm")
    assert read_deployment(context.configured).versions["lstm"] == "2"


def test_a_promoted_challenger_is_no_challenger_any_more_and_there_is_one_canary(context, variant, put):
    put(context.configured, variant("ridge", 1), "2", is_champion=False)
    put_on_trial(context, "lstm", "3", "canary", 0.5)
    put_on_trial(context, "ridge", "2", "canary", 0.5)
    assert [one.model for one in read_deployment(context.configured).challengers] == ["ridge"]
    put_on_trial(context, "lstm", "3", "shadow", 0.5)
    promote(context, "lstm", "3")
    assert [one.model for one in read_deployment(context.configured).challengers] == ["ridge"]


def test_a_deployment_is_read_as_it_was_written(context):
    before = read_deployment(context.configured)
    write_deployment(context.configured, before)
    assert read_deployment(context.configured) == before
