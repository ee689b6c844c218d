"""Stability: whether the contributions keep their order where the values are told less exactly than they are known."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.catalog import feature_of
from serving.engines import TYPICAL_WINDOWS
from serving.explain.attribution import explain_forecast, explain_in_orders
from serving.explain.backgrounds import random_of
from serving.explain.players import players_of
from serving.explain.result import QUANTITIES, Stability
from serving.explain.shapley import opposite_pairs
from serving.explain.wording import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feature_repo.targets import FloatArray
    from serving.api.explanations import Depth, Grain, Quantity
    from serving.explain.remaking import RemadeForecast
    from serving.explain.result import Explanation

MOVED_WINDOWS = 8


def explain_with_stability(forecast: "RemadeForecast", depth: "Depth", grain: "Grain") -> "Explanation":
    """Explain a forecast as `explain_forecast` does; with the depth ``deep`` say how stable its contributions are.

    Raises
    ------
    NotReadyError
        If a model was exported without typical windows.
    """
    explanation = explain_forecast(forecast, depth, grain)
    return replace(explanation, stability=stability_of(forecast, grain)) if depth == "deep" else explanation


def stability_of(forecast: "RemadeForecast", grain: "Grain") -> "Mapping[Quantity, Stability]":
    """Explain eight windows that the printed percentiles do not tell from the forecast's, and compare the orders.

    One pair of opposite permutations walks from each typical window, the same for all nine windows, so that no
    difference between them comes from sampling.

    Returns
    -------
    Mapping
        By quantity, Spearman's rank correlation of the contributions with those of the true window, see
        `rank_correlation`.
    """
    random = random_of(forecast)
    players = players_of(forecast.inputs.spec.features, grain)
    orders = [opposite_pairs(len(players), 1, random) for _ in range(TYPICAL_WINDOWS)]

    def contributions(window: "FloatArray") -> "Mapping[Quantity, NDArray[np.float64]]":
        asked = replace(forecast, inputs=replace(forecast.inputs, window=window))
        found = explain_in_orders(asked, orders, "fast", grain).contributions
        return {name: np.array([each.contribution for each in found[name]]) for name in QUANTITIES}

    true = contributions(forecast.inputs.window)
    moved = [contributions(moved_window(forecast, random)) for _ in range(MOVED_WINDOWS)]
    return {name: Stability.of([rank_correlation(true[name], each[name]) for each in moved]) for name in QUANTITIES}


def moved_window(forecast: "RemadeForecast", random: np.random.Generator) -> "FloatArray":
    """Return the window with each known value of the last session moved within its measurement error.

    The error of a value is half the distance between the percentiles of training around it: values that near have the
    same percentile in print. A value that several percentiles share, as a flag's, is exact and stays.
    """
    window, background = forecast.inputs.window.copy(), forecast.models[0].require_background()
    drawn = random.uniform(-0.5, 0.5, len(forecast.inputs.spec.features))
    for place, (name, share) in enumerate(zip(forecast.inputs.spec.features, drawn.tolist(), strict=True)):
        value = float(window[-1, place])
        if not np.isnan(value):
            _, feature = feature_of(name)
            moved = value + share * background.spacing_at(name, value)
            window[-1, place] = np.clip(moved, feature.minimum, feature.maximum)
    return window


def rank_correlation(one: "NDArray[np.float64]", other: "NDArray[np.float64]") -> float:
    """Return Spearman's rank correlation; contributions that are printed alike are tied.

    1 where nothing contributes in either, 0 where something contributes in one of them alone.

    Examples
    --------
    >>> values = np.array([0.03, 0.0, -0.01])
    >>> rank_correlation(values, values + 1e-9), rank_correlation(values, -values)
    (1.0, -1.0)
    >>> rank_correlation(values, 0 * values), rank_correlation(0 * values, 0 * values)
    (0.0, 1.0)
    """
    from scipy.stats import rankdata

    ranks = [rankdata(np.round(values / (2 * NOTHING))) for values in (one, other)]
    spread = [float(np.ptp(each)) for each in ranks]
    if not all(spread):
        return float(not any(spread))
    return float(np.round(np.corrcoef(*ranks)[0, 1], 12))
