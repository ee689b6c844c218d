"""LIME: a straight line in the presence of the players, fitted around a forecast, with its own fidelity.

Ribeiro, Singh and Guestrin 2016, "Why should I trust you?". Each coalition is forecast from all typical windows and
averaged, so that a linear model is met exactly.
"""

import time
from typing import TYPE_CHECKING

import numpy as np

from serving.engines import TYPICAL_WINDOWS
from serving.explain.assembly import ForecastSplit, Way, assemble, blend_splits, with_width
from serving.explain.backgrounds import MixedInputs, random_of
from serving.explain.players import players_of
from serving.explain.result import QUANTITIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.api.explanations import Depth, Grain
    from serving.explain.models import ExplainedModel
    from serving.explain.remaking import RemadeForecast
    from serving.explain.result import Explanation

COALITIONS: "dict[Depth, int]" = {"fast": 128, "detailed": 512, "deep": 1024}
"""Coalitions that are drawn, each forecast from four windows: 512 to 4,096 forecasts of every model."""
KERNEL_WIDTH = 0.75
"""Share of absent players at which the weight of a coalition falls to 1/e, under the square root."""
RIDGE = 1e-9
"""Share of the number of coalitions that the penalty is: it only keeps the system solvable."""
CALM = 1e-9
"""Standard deviation, as a fraction of price, below which nothing is left to explain."""
FAITHFUL_R2 = 0.8
"""Fidelity from which on a line counts as faithful."""


def explain_by_line(forecast: "RemadeForecast", depth: "Depth" = "fast", grain: "Grain" = "feature") -> "Explanation":
    """Explain a forecast by the slopes of a weighted ridge regression on the presence of the players.

    Base value is the line where all players are absent. The slopes need not sum to the forecast: `additivity_error` and
    `fidelity_r2` say how far the line is from it.

    Raises
    ------
    NotReadyError
        If a model was exported without typical windows.
    """
    started = time.perf_counter()
    players = players_of(forecast.inputs.spec.features, grain)
    coalitions = random_of(forecast).random((COALITIONS[depth], len(players))) < 0.5  # noqa: PLR2004 - present or not
    coalitions[0] = True  # the forecast itself
    mixed = MixedInputs(forecast, players, [coalitions] * TYPICAL_WINDOWS)
    weights = np.exp(-(1 - coalitions.mean(axis=1)) / KERNEL_WIDTH**2)
    fitted = [_fit(forecast, model, mixed, coalitions, weights) for model in forecast.models]
    splits = [split for split, _ in fitted]
    blended = forecast.blended([values for _, values in fitted])  # [coalition, quantity]
    line = blend_splits(forecast, splits)
    fidelity = fidelity_of(line.base + coalitions @ line.contributions, blended, weights)
    way = Way("lime", depth, grain, fidelity_r2=dict(zip(QUANTITIES, fidelity.tolist(), strict=True)))
    return assemble(forecast, players, splits, way, errors=None, seconds=time.perf_counter() - started)


def fit_line(
    coalitions: "NDArray[np.bool_]", values: "NDArray[np.float64]", weights: "NDArray[np.float64]"
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Fit ``values = base + coalitions @ slopes`` by weighted ridge regression: base ``[quantity]``, then slopes.

    Examples
    --------
    >>> base, slopes = fit_line(np.array([[0, 0], [1, 0], [0, 1]]) > 0, np.array([[1.0], [3.0], [0.0]]), np.ones(3))
    >>> base.round(6).tolist(), slopes.round(6).ravel().tolist()
    ([1.0], [2.0, -1.0])
    """
    design = np.column_stack([np.ones(len(coalitions)), coalitions]).astype(np.float64)
    weighted = design.T * weights
    penalty = np.diag([0.0, *[RIDGE * len(coalitions)] * coalitions.shape[1]])
    found = np.linalg.solve(weighted @ design + penalty, weighted @ values).astype(np.float64)
    return found[0], found[1:]


def fidelity_of(
    line: "NDArray[np.float64]", values: "NDArray[np.float64]", weights: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Return the weighted R2 of a line by quantity; 1 for values that vary by less than `CALM`."""
    mean = np.average(values, axis=0, weights=weights)
    left, all_of_it = (np.average((values - other) ** 2, axis=0, weights=weights) for other in (line, mean))
    flat = all_of_it <= CALM**2
    return np.where(flat, 1.0, 1 - left / np.where(flat, 1.0, all_of_it))


def _fit(
    forecast: "RemadeForecast",
    model: "ExplainedModel",
    mixed: MixedInputs,
    coalitions: "NDArray[np.bool_]",
    weights: "NDArray[np.float64]",
) -> "tuple[ForecastSplit, NDArray[np.float64]]":
    """Fit a line to one model: its split, and what was fitted, ``[coalition, quantity]``."""
    forecasts = with_width(forecast.of_member(model, mixed.of(model.require_background())))
    values = forecasts.reshape(TYPICAL_WINDOWS, len(coalitions), -1).mean(axis=0)
    base, slopes = fit_line(coalitions, values, weights)
    return ForecastSplit(base, values[0], slopes), values
