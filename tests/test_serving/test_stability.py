"""Stability of contributions by the real engines: windows within a measurement error, and the order that they keep."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.catalog import feature_of
from lake.tables import FORECASTS
from serving.deployment import Champions
from serving.explain import QUANTITIES, Explainer, ExplanationKey, explanation_answer
from serving.explain.models import ExplainedModels
from serving.explain.remaking import RemadeForecast
from serving.explain.stability import MOVED_WINDOWS, explain_with_stability, moved_window, stability_of
from serving.replay import inputs_of
from support import receipts as at_home


@pytest.fixture(scope="module")
def mine(home: Any, tmp_path_factory: pytest.TempPathFactory) -> at_home.Home:
    """A home with replayed forecasts of each model alone; to read only."""
    made = at_home.copied(home.settings, tmp_path_factory.mktemp("mine") / "home", with_forecasts=False)
    assert at_home.backfill(made, 1) == 150
    return made


@pytest.fixture(scope="module")
def alone(mine: at_home.Home) -> Any:
    """Return a replayed forecast of one model."""
    models = ExplainedModels(Champions(mine.settings))

    def found(model: str, place: int = 0) -> RemadeForecast:
        is_asked = (pl.col("model_name") == model) & (pl.col("horizon_sessions") == 1)
        row = mine.lake.read(FORECASTS, where=is_asked).sort("symbol").row(place, named=True)
        return RemadeForecast.of(inputs_of(mine.lake, mine.settings, row["forecast_id"]), models)

    return found


def test_a_linear_model_keeps_the_order_of_its_contributions(alone: Any) -> None:
    """The band of the naive model is a multiple of one volatility, and nothing contributes to its median."""
    found = stability_of(alone("naive"), "feature")
    assert set(found) == set(QUANTITIES)
    assert {each.lowest for each in found.values()} == {1.0}
    assert {each.windows for each in found.values()} == {MOVED_WINDOWS}


def test_a_network_keeps_most_of_it_and_the_lowest_is_no_more_than_the_mean(alone: Any) -> None:
    for place in range(3):
        found = stability_of(alone("lstm", place), "feature")["p50"]
        assert 0 < found.lowest <= found.mean < 1


def test_values_move_within_half_a_percentile_in_the_last_session_alone(alone: Any) -> None:
    moves = 0
    for place in range(5):
        forecast = alone("ridge", place)
        window, background = forecast.inputs.window, forecast.models[0].require_background()
        moved = moved_window(forecast, np.random.default_rng(place))
        assert np.array_equal(moved[:-1], window[:-1], equal_nan=True)
        assert np.array_equal(np.isnan(moved[-1]), np.isnan(window[-1]))
        for name, before, after in zip(forecast.inputs.spec.features, window[-1], moved[-1], strict=True):
            if np.isnan(before):
                continue
            distance = background.percentile_of(name, float(after)) - background.percentile_of(name, float(before))
            below, above = background.percentiles[name][0], background.percentiles[name][-1]
            if below < before < above and not (np.array(background.percentiles[name]) == before).any():
                spacing = background.spacing_at(name, float(before))
                assert abs(after - before) <= spacing / 2 * (1 + 1e-5)
                moves += bool(distance)
            _, feature = feature_of(name)
            assert feature.minimum is None or after >= feature.minimum
            assert feature.maximum is None or after <= feature.maximum
            if name == "sma_50_200_cross":
                assert after == before, "a flag is exact"
    assert moves > 50


def test_the_same_forecast_has_the_same_stability_and_only_a_deep_explanation_has_one(
    mine: at_home.Home, alone: Any
) -> None:
    forecast = alone("ridge")
    deep = explain_with_stability(forecast, "deep", "group")
    assert deep.stability == stability_of(forecast, "group")
    assert explain_with_stability(forecast, "detailed", "group").stability is None
    question = ExplanationKey(forecast.inputs.row["forecast_id"], "shapley", "deep")
    found = Explainer(mine.lake, Champions(mine.settings)).explain(question)
    told = explanation_answer(found, "p90", mine.lake.market, is_cached=False).explanation.stability
    assert told is not None
    assert (told.rank_correlation, told.lowest) == (found.stability["p90"].mean, found.stability["p90"].lowest)
