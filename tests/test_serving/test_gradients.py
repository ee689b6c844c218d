"""Integrated gradients: they sum to the change of the forecast, of the network that the engine was exported from."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from feature_repo.targets import FORECAST_V2, to_model_input
from lake.errors import NoGradientsError, NotReadyError, ParityError
from lake.tables import FORECASTS
from serving.deployment import Champions
from serving.engines import Background, Bundle, OnnxEngine
from serving.explain import QUANTITIES, Explainer, ExplanationKey
from serving.explain.gradients.explained import UNEXPLAINED, GradientExplanations, _ends
from serving.explain.gradients.integrate import integrated_gradients
from serving.explain.models import ExplainedModels
from serving.explain.remaking import RemadeForecast
from serving.forecast_log import log_paths, open_log
from serving.replay import inputs_of
from support import receipts as at_home
from support.trainings import place_weights
from training.data import fit_scaler
from training.models import InputSpec, OutputSpec, build_network

COMPLETE, ALIKE = 1e-3, 1e-5
WINDOWS = 6


@pytest.fixture(scope="module")
def mine(home: Any, exports: dict[str, Bundle], networks: dict, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A home with the weights of its LSTM, answered forecasts of corrected blends, and replayed ones of each model."""
    made = at_home.copied(home.settings, tmp_path_factory.mktemp("mine") / "home", with_forecasts=False)
    at_home.assign(made, (0.1, 0.2, 0.3, 0.4))
    assert at_home.serve(made, 5, seed=1) == 5
    assert at_home.backfill(made, 1) == 150
    place_weights(made.settings, exports["lstm"], networks["lstm"])
    return made


@pytest.fixture(scope="module")
def models(mine: at_home.Home) -> ExplainedModels:
    return ExplainedModels(Champions(mine.settings))


@pytest.fixture(scope="module")
def blend(mine: at_home.Home, models: ExplainedModels) -> RemadeForecast:
    (path,) = log_paths(mine.settings)
    answered = open_log(path).execute("SELECT forecast_id FROM forecasts ORDER BY sequence").fetchone()[0]
    made = RemadeForecast.of(inputs_of(mine.lake, mine.settings, answered), models)
    assert made.inputs.calibration is not None
    return made


@pytest.fixture(scope="module")
def alone(mine: at_home.Home, models: ExplainedModels) -> Any:
    """Return a replayed forecast of one model."""

    def found(model: str) -> RemadeForecast:
        row = mine.lake.read(FORECASTS, where=pl.col("model_name") == model).sort("symbol").row(0, named=True)
        return RemadeForecast.of(inputs_of(mine.lake, mine.settings, row["forecast_id"]), models)

    return found


@pytest.fixture(scope="module")
def of_name(networks: dict, exports: dict[str, Bundle], transformer: Bundle, inputs: np.ndarray) -> Any:
    """Return network and engine of a model by its name."""
    spec = InputSpec(FORECAST_V2.features, FORECAST_V2.sessions)
    tft = build_network("tft", spec, OutputSpec(), fit_scaler(inputs), hidden=8).eval()
    both = {"lstm": (networks["lstm"], exports["lstm"]), "tft": (tft, transformer)}
    return lambda name: (both[name][0], OnnxEngine(both[name][1]))


def ways(inputs: np.ndarray, background: Background) -> list[tuple[np.ndarray, np.ndarray]]:
    """Some windows, each with the four typical windows under its own flags."""
    count = len(FORECAST_V2.features)
    typical = to_model_input(background.windows_of("any"))
    known = [x for x in inputs if x[-1, count:].all()][:WINDOWS]
    return [(x, np.concatenate([typical[..., :count] * x[:, count:], np.stack([x[:, count:]] * 4)], -1)) for x in known]


@pytest.mark.parametrize("name", ["lstm", "tft"])
@pytest.mark.parametrize("horizon", [0, 1])
def test_they_sum_to_the_change_that_the_engine_forecasts(
    of_name: Any, inputs: np.ndarray, background: Background, name: str, horizon: int
) -> None:
    network, engine = of_name(name)
    for x, baselines in ways(inputs, background):
        ends = np.concatenate([x[None], baselines])
        with torch.inference_mode():
            assert np.abs(network(torch.from_numpy(ends)).numpy() - engine.predict(ends)).max() <= ALIKE
        forecasts = engine.predict(ends)[:, horizon].astype(float)  # [window, quantile]
        change = forecasts[0] - forecasts[1:].mean(axis=0)
        found = integrated_gradients(network, x, baselines, horizon)
        assert found.shape == (FORECAST_V2.sessions, len(FORECAST_V2.features), 3)
        largest = np.abs(change).max()
        assert np.abs(found.sum(axis=(0, 1)) - change).max() <= COMPLETE * largest + 1e-7


def test_a_line_times_a_volatility_has_its_closed_form(
    networks: dict, inputs: np.ndarray, background: Background
) -> None:
    """Along the way both factors move linearly, so a feature gets its slope times the mean of the two volatilities."""
    ridge, count = networks["ridge"], len(FORECAST_V2.features)
    scale = FORECAST_V2.features.index("volatility_garch")
    slope = (ridge.weight[:count, 0] / ridge.std).double().numpy()
    root = float(ridge.root_horizon[0])
    for x, baselines in ways(inputs, background):
        found = integrated_gradients(ridge, x, baselines, 0)[-1, :, 1]
        ends = np.concatenate([x[None], baselines])[:, -1].astype(float)
        expected = np.mean(
            [slope * (ends[0] - b)[:count] * root * (ends[0, scale] + b[scale]) / 2 for b in ends[1:]], axis=0
        )
        others = [place for place in range(count) if place != scale]
        assert found[others] == pytest.approx(expected[others], abs=1e-7)


def test_a_forecast_of_a_network_is_split_among_its_features(mine: at_home.Home, alone: Any) -> None:
    forecast = alone("lstm")
    found = GradientExplanations(mine.settings).explain(forecast)
    for place, quantity in enumerate(QUANTITIES[:3]):
        assert found.values[quantity] == forecast.stored[place]
        change = found.values[quantity] - found.base_values[quantity]
        assert sum(each.contribution for each in found.contributions[quantity]) == pytest.approx(change, rel=COMPLETE)
    assert found.unexplained_share == 0
    assert {each.contribution for each in found.contributions["p50"] if each.player == UNEXPLAINED.name} == {0.0}
    by_group = GradientExplanations(mine.settings).explain(forecast, grain="group")
    momentum = sum(each.contribution for each in found.contributions["p90"] if each.group == "momentum")
    (grouped,) = (each.contribution for each in by_group.contributions["p90"] if each.player == "momentum")
    assert grouped == pytest.approx(momentum)


def test_of_a_blend_the_networks_are_split_and_the_rest_is_said_to_be_unexplained(
    mine: at_home.Home, blend: RemadeForecast
) -> None:
    found = GradientExplanations(mine.settings).explain(blend)
    share = dict(zip((model.use.name for model in blend.models), blend.shares, strict=True))
    assert found.unexplained_share == pytest.approx(1 - share["lstm"])
    lstm = next(member for member in found.members if member.model == "lstm")
    for quantity in QUANTITIES:
        parts = found.contributions[quantity]
        for each, of_lstm in zip(parts[:-1], lstm.contributions[quantity][:-1], strict=True):
            assert each.contribution == pytest.approx(share["lstm"] * of_lstm)
        moved = [
            member.weight * (member.values[quantity] - member.base_values[quantity])
            for member in found.members
            if member.model != "lstm"
        ]
        assert parts[-1].player == UNEXPLAINED.name
        assert parts[-1].contribution == pytest.approx(sum(moved))
    change = abs(found.values["p90"] - found.base_values["p90"])
    assert found.additivity_error <= COMPLETE * change + 1e-7


def test_what_is_known_does_not_change_on_the_way(blend: RemadeForecast) -> None:
    window = blend.inputs.window.copy()
    window[3, 0] = np.nan
    asked = replace(blend, inputs=replace(blend.inputs, window=window))
    x, baselines = _ends(asked, blend.models[0])
    assert x[3, 0] == x[3, len(FORECAST_V2.features)] == 0
    count = len(FORECAST_V2.features)
    assert (baselines[..., count:] == x[:, count:]).all()
    assert (baselines[:, 3, 0] == 0).all()
    typical = blend.models[0].require_background().windows_of(blend.inputs.row["regime"])
    known = ~np.isnan(typical) & (x[:, count:] == 1)
    assert (baselines[..., :count][known] == typical[known]).all()


def test_forecasts_without_a_network_have_no_gradients(mine: at_home.Home, alone: Any) -> None:
    forecast = alone("ridge")
    with pytest.raises(NoGradientsError, match=r"found ridge.*shapley"):
        GradientExplanations(mine.settings).explain(forecast)
    without = Explainer(mine.lake, Champions(mine.settings))
    with pytest.raises(NoGradientsError, match="computes no gradients"):
        without.explain(ExplanationKey(forecast.inputs.row["forecast_id"], "integrated_gradients"))


def test_weights_that_are_not_there_or_not_those_explain_nothing(
    mine: at_home.Home, alone: Any, exports: dict[str, Bundle], inputs: np.ndarray, tmp_path: Any
) -> None:
    forecast = alone("lstm")
    elsewhere = mine.settings.model_copy(update={"home": tmp_path})
    with pytest.raises(NotReadyError, match=r"weights of version .* of 'lstm'.*shapley"):
        GradientExplanations(elsewhere).explain(forecast)
    spec = InputSpec(FORECAST_V2.features, FORECAST_V2.sessions)
    other = build_network("lstm", spec, OutputSpec(), fit_scaler(inputs), seed=1, hidden=8).eval()
    place_weights(elsewhere, exports["lstm"], other)
    with pytest.raises(ParityError, match=r"differs from its engine.*explain another forecast"):
        GradientExplanations(elsewhere).explain(forecast)
