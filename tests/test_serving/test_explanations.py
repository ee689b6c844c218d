"""Contributions to real forecasts by the real engines, from the typical windows of their bundles."""

import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.targets import to_model_input
from lake.errors import DamagedTableError, EngineError, ModelError, NotReadyError, UnknownNameError
from lake.tables import FORECASTS
from serving.deployment import Champions
from serving.engines import BACKGROUND_FILE, Background, Bundle, OnnxEngine
from serving.explain import QUANTITIES, Contribution, Explainer, ExplanationKey
from serving.explain.attribution import explain_forecast, explain_in_orders
from serving.explain.models import ExplainedModel, ExplainedModels
from serving.explain.remaking import RemadeForecast
from serving.explain.shapley import opposite_pairs
from serving.explain.surrogate import explain_by_line
from serving.forecast_log import log_paths, open_log
from serving.replay import inputs_of
from support import receipts as at_home

ADDITIVE = 1e-9
QUANTILES = ("p10", "p50", "p90")


@pytest.fixture(scope="module")
def mine(home: Any, tmp_path_factory: pytest.TempPathFactory) -> at_home.Home:
    """A home with answered forecasts of corrected blends, and replayed ones of each model alone; to read only."""
    made = at_home.copied(home.settings, tmp_path_factory.mktemp("mine") / "home", with_forecasts=False)
    at_home.assign(made, (0.1, 0.2, 0.3, 0.4))
    assert at_home.serve(made, 20, seed=1) == 20
    assert at_home.backfill(made, 1) == 150
    return made


@pytest.fixture(scope="module")
def models(mine: at_home.Home) -> ExplainedModels:
    return ExplainedModels(Champions(mine.settings))


@pytest.fixture(scope="module")
def answered(mine: at_home.Home) -> list[str]:
    """Ids of the answered forecasts, which are in the log alone."""
    (path,) = log_paths(mine.settings)
    return [row[0] for row in open_log(path).execute("SELECT forecast_id FROM forecasts ORDER BY sequence")]


@pytest.fixture(scope="module")
def blend(mine: at_home.Home, models: ExplainedModels, answered: list[str]) -> RemadeForecast:
    """An answered forecast of three models, with a corrected band."""
    made = RemadeForecast.of(inputs_of(mine.lake, mine.settings, answered[0]), models)
    assert len(made.models) == 3
    assert made.inputs.calibration is not None
    return made


@pytest.fixture(scope="module")
def alone(mine: at_home.Home, models: ExplainedModels) -> Any:
    """Return a replayed forecast of one model by its name and horizon."""

    def found(model: str, horizon: int = 1, place: int = 0) -> RemadeForecast:
        is_asked = (pl.col("model_name") == model) & (pl.col("horizon_sessions") == horizon)
        row = mine.lake.read(FORECASTS, where=is_asked).sort("symbol").row(place, named=True)
        return RemadeForecast.of(inputs_of(mine.lake, mine.settings, row["forecast_id"]), models)

    return found


@pytest.mark.parametrize(
    ("depth", "grain"),
    [*product(["fast", "detailed"], ["feature", "group"]), ("detailed", "session_block"), ("deep", "session_block")],
)
def test_base_and_contributions_sum_to_what_was_answered(
    mine: at_home.Home, models: ExplainedModels, answered: list[str], depth: Any, grain: Any
) -> None:
    for forecast_id in answered[:5]:
        forecast = RemadeForecast.of(inputs_of(mine.lake, mine.settings, forecast_id), models)
        found, row = explain_forecast(forecast, depth, grain), forecast.inputs.row
        stored = {name: row[name] for name in QUANTILES} | {"width": row["p90"] - row["p10"]}
        for quantity in QUANTITIES:
            summed = found.base_values[quantity] + sum(each.contribution for each in found.contributions[quantity])
            assert abs(summed - stored[quantity]) <= ADDITIVE
            assert found.values[quantity] == stored[quantity]
        assert found.additivity_error <= ADDITIVE


def test_the_blends_contributions_are_the_weighted_sum_of_its_models(blend: RemadeForecast) -> None:
    found = explain_forecast(blend)
    weights = [member.weight for member in found.members]
    assert sum(weights) == pytest.approx(1, abs=1e-12)
    assert weights == pytest.approx([use.weight for use in blend.inputs.models], abs=1e-9)
    for quantity in QUANTITIES:
        for number, each in enumerate(found.contributions[quantity]):
            parts = sum(member.weight * member.contributions[quantity][number] for member in found.members)
            assert each.contribution == pytest.approx(parts, abs=1e-15)


def test_the_same_question_has_the_same_answer_and_the_base_never_changes(blend: RemadeForecast) -> None:
    first, again = (replace(explain_forecast(blend), seconds=0.0, explanation_id="") for _ in range(2))
    assert first == again
    assert explain_forecast(blend, "detailed").base_values == first.base_values
    other = replace(blend, inputs=replace(blend.inputs, row=blend.inputs.row | {"forecast_id": "0" * 32}))
    assert explain_forecast(other).contributions != first.contributions, "another forecast, other permutations"


def test_a_ridge_regression_has_the_contributions_of_its_closed_form(alone: Any, networks: dict) -> None:
    """The median is a line times a volatility, so one pair of opposite walks is exact."""
    forecast = alone("ridge", 1)
    ridge, spec = networks["ridge"], forecast.inputs.spec
    names, count, scale = list(spec.features), len(spec.features), spec.features.index("volatility_garch")
    weight = ridge.weight[:, 0].double().numpy()
    mean, std = ridge.mean.double().numpy(), ridge.std.double().numpy()

    def line(x: np.ndarray) -> np.ndarray:
        values, known = x[:count].astype(float), x[count:].astype(float)
        return weight[:count] * (values - mean) / std * known + weight[count:] * known

    x = to_model_input(forecast.inputs.window[None])[0, -1]
    background = forecast.models[0].require_background()
    typical = to_model_input(background.windows_of(forecast.inputs.row["regime"]))[:, -1]
    root = float(ridge.root_horizon[0])
    expected = np.mean([(line(x) - line(b)) * (float(x[scale]) + float(b[scale])) * root / 2 for b in typical], axis=0)
    found = [each.contribution for each in explain_forecast(forecast).contributions["p50"]]
    for place, name in enumerate(names):
        if place != scale:
            assert found[place] == pytest.approx(expected[place], abs=1e-8), name
    assert np.abs(expected).max() > 1e-4, "there is something to be found"


def test_a_linear_model_has_weight_times_distance_from_the_mean_window(alone: Any) -> None:
    """The band of the naive model is a multiple of one volatility."""
    forecast = alone("naive", 1)
    features = forecast.inputs.spec.features
    place = features.index("volatility_20d")
    background = forecast.models[0].require_background()
    typical = background.windows_of(forecast.inputs.row["regime"])[:, -1, place].astype(float)
    own = float(forecast.inputs.window[-1, place])
    slope = (forecast.stored[2] - forecast.stored[0]) / own
    found = explain_forecast(forecast)
    values = {each.player: each.contribution for each in found.contributions["width"]}
    assert values["volatility_20d"] == pytest.approx(slope * (own - typical.mean()), abs=1e-6)
    assert abs(values["volatility_20d"]) > 1e-3


def test_a_feature_that_no_model_reads_gets_exactly_nothing(alone: Any) -> None:
    found = explain_forecast(alone("naive", 5), "detailed")
    read = {"volatility_20d", "volatility_garch", "volatility_garch_5d"}  # the last two cancel out, up to rounding
    for quantity in QUANTITIES:
        for each in found.contributions[quantity]:
            if each.player not in read:
                assert each.contribution == 0
                assert each.standard_error == 0


@pytest.mark.parametrize("model", ["naive", "ridge"])
def test_a_model_of_the_last_session_has_nothing_from_earlier_ones(alone: Any, model: str) -> None:
    """And blocks of a feature sum to its own value: naive's band is linear, ridge's median is so but for the scale."""
    forecast = alone(model, 1)
    whole, split = explain_forecast(forecast, "detailed"), explain_forecast(forecast, "detailed", "session_block")
    for quantity in QUANTITIES:
        for each, blocks in zip(whole.contributions[quantity], batched(split.contributions[quantity]), strict=True):
            last, five_before, earlier = blocks
            assert last.player == f"{each.player}@last"
            assert last.contribution == pytest.approx(each.contribution, abs=1e-8)
            assert five_before.contribution == earlier.contribution == 0
            assert (last.value, last.percentile) == (each.value, each.percentile)
            assert five_before.value is earlier.value is None


def batched(parts: Sequence[Contribution]) -> list[Sequence[Contribution]]:
    return [parts[place : place + 3] for place in range(0, len(parts), 3)]


def test_a_network_reads_earlier_sessions(alone: Any) -> None:
    found = explain_forecast(alone("lstm", 5), "detailed", "session_block").contributions["p50"]
    assert sum(abs(each.contribution) for each in found if each.player.endswith("@earlier")) > 1e-6


def test_many_pairs_agree_with_few_within_their_standard_errors(alone: Any) -> None:
    forecast = alone("lstm", 5)
    random, players = np.random.default_rng(3), len(forecast.inputs.spec.features)
    orders = [opposite_pairs(players, 24, random) for _ in range(4)]
    many = explain_in_orders(forecast, orders, "detailed", "feature")
    few = explain_forecast(forecast, "detailed")
    for quantity in QUANTITIES:
        pairs = zip(many.contributions[quantity], few.contributions[quantity], strict=True)
        scores = [abs(a.contribution - b.contribution) / (a.standard_error + b.standard_error) for a, b in pairs]
        assert np.mean(np.array(scores) <= 3) >= 0.9


def test_values_and_percentiles_are_those_of_the_last_session(blend: RemadeForecast) -> None:
    found, background = explain_forecast(blend), blend.models[0].require_background()
    for each in found.contributions["p50"]:
        place = blend.inputs.spec.features.index(each.player)
        value = float(blend.inputs.window[-1, place])
        assert each.value == (None if np.isnan(value) else value)
        assert each.percentile == (None if each.value is None else background.percentile_of(each.player, each.value))


def test_typical_windows_are_named_and_shared_by_models_of_one_training(blend: RemadeForecast) -> None:
    (used,) = explain_forecast(blend).backgrounds
    assert used.hash == blend.models[0].require_background().digest
    assert used.regime == blend.inputs.row["regime"]
    assert len(set(used.windows)) == 4
    assert sorted(used.models) == ["lstm", "naive", "ridge"]


def _with_background(model: ExplainedModel, background: Background | None) -> ExplainedModel:
    content = None if background is None else background.to_bytes()
    return replace(model, bundle=replace(model.bundle, background_content=content))


def test_models_of_different_trainings_keep_their_own_typical_windows(blend: RemadeForecast) -> None:
    first = blend.models[0]
    background = first.require_background()
    turned = background.typical | {blend.inputs.row["regime"]: background.typical["any"]}
    other = _with_background(first, Background(**background.model_dump() | {"typical": turned}))
    found = explain_forecast(replace(blend, models=[other, *blend.models[1:]]))
    assert [len(used.models) for used in found.backgrounds] == [1, 2]
    assert found.additivity_error <= ADDITIVE


def test_a_line_around_a_linear_model_is_faithful(alone: Any) -> None:
    forecast = alone("naive", 1)
    found, exact = explain_by_line(forecast), explain_forecast(forecast)
    assert found.method == "lime"
    assert found.fidelity_r2 is not None
    assert found.fidelity_r2["width"] == pytest.approx(1, abs=1e-9)
    assert found.additivity_error < 1e-7
    for line, shapley in zip(found.contributions["width"], exact.contributions["width"], strict=True):
        assert line.contribution == pytest.approx(shapley.contribution, abs=1e-7)
        assert line.standard_error is None


def test_a_bundle_without_typical_windows_says_what_to_do(blend: RemadeForecast) -> None:
    old = [_with_background(model, None) for model in blend.models]
    with pytest.raises(NotReadyError, match=r"without typical windows of its training.*Materialise the asset"):
        explain_forecast(replace(blend, models=old))


def test_an_engine_that_computes_something_else_explains_nothing(
    mine: at_home.Home, blend: RemadeForecast, variant: Any
) -> None:
    class Exchanged:
        def take(self, use: Any) -> ExplainedModel:
            held = next(model for model in blend.models if model.use == use)
            return replace(held, engine=OnnxEngine(variant("ridge", 3))) if use.name == "ridge" else held

    with pytest.raises(EngineError, match="quantlake replay"):
        RemadeForecast.of(blend.inputs, Exchanged())  # type: ignore[arg-type]  # takes models as the real one does


def test_a_version_that_left_service_is_loaded_by_its_digest(mine: at_home.Home, blend: RemadeForecast) -> None:
    class Gone(Champions):
        def current(self) -> Any:
            return replace(super().current(), champions={})

    models = ExplainedModels(Gone(mine.settings))
    again = RemadeForecast.of(blend.inputs, models)
    assert explain_forecast(again).contributions == explain_forecast(blend).contributions
    with pytest.raises(ModelError, match="the files were exchanged"):
        models.take(blend.inputs.models[0].model_copy(update={"digest": "0" * 64}))


def test_each_question_is_computed_once_for_a_set_of_models(mine: at_home.Home, answered: list[str]) -> None:
    champions = Champions(mine.settings)
    explainer, question = Explainer(mine.lake, champions), ExplanationKey(answered[1])
    assert explainer.recall(question) is None
    found = explainer.explain(question)
    assert explainer.recall(question) is found
    assert explainer.explain(question) is found
    assert explainer.recall(question._replace(depth="detailed")) is None
    current = champions.current()
    champions._loaded = replace(current)
    assert explainer.recall(question) is None, "other models may give another answer"


def test_an_id_that_no_forecast_has_is_refused(mine: at_home.Home) -> None:
    with pytest.raises(UnknownNameError):
        Explainer(mine.lake, Champions(mine.settings)).explain(ExplanationKey("0" * 32))


def test_an_edited_forecast_is_not_explained(mine: at_home.Home, answered: list[str], tmp_path: Any) -> None:
    edited = at_home.copied(mine.settings, tmp_path / "edited")
    (path,) = log_paths(edited.settings)
    with closing(open_log(path)) as log, log:
        (text,) = log.execute("SELECT row FROM forecasts WHERE forecast_id = ?", (answered[0],)).fetchone()
        moved = json.dumps(json.loads(text) | {"p50": 0.0123})
        log.execute("UPDATE forecasts SET row = ? WHERE forecast_id = ?", (moved, answered[0]))
    explainer = Explainer(edited.lake, Champions(edited.settings))
    with pytest.raises(DamagedTableError, match=f"not as it was made.*quantlake replay {answered[0]}"):
        explainer.explain(ExplanationKey(answered[0]))
    assert explainer.explain(ExplanationKey(answered[1])).additivity_error <= ADDITIVE


def test_an_altered_background_is_refused(exports: dict[str, Bundle], tmp_path: Any) -> None:
    folder = shutil.copytree(exports["ridge"].folder, tmp_path / "ridge")
    text = (folder / BACKGROUND_FILE).read_text()
    (folder / BACKGROUND_FILE).write_text(text.replace('"training_windows":', '"training_windows":1'))
    with pytest.raises(ModelError, match="altered after export"):
        Bundle.load(folder)
    (folder / BACKGROUND_FILE).unlink()
    with pytest.raises(ModelError, match="is missing"):
        Bundle.load(folder)
