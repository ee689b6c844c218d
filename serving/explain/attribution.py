"""Contributions of features to a stored forecast: Shapley values over the engines that made it."""

import time
from typing import TYPE_CHECKING

import numpy as np

from serving.engines import TYPICAL_WINDOWS
from serving.explain.assembly import ForecastSplit, Way, assemble, with_width
from serving.explain.backgrounds import MixedInputs, random_of
from serving.explain.players import players_of
from serving.explain.shapley import EMPTY, FULL, coalitions_of, gains_of, opposite_pairs, standard_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from serving.api.explanations import Depth, Grain
    from serving.explain.models import ExplainedModel
    from serving.explain.remaking import RemadeForecast
    from serving.explain.result import Explanation

PAIRS: "Mapping[Depth, int]" = {"fast": 1, "detailed": 4, "deep": 16}
"""Pairs of opposite permutations that walk from each typical window: always all of them, so that the base value never
changes."""


def explain_forecast(forecast: "RemadeForecast", depth: "Depth" = "fast", grain: "Grain" = "feature") -> "Explanation":
    """Split p10, p50, p90 and the width of a stored forecast into contributions, from one computation.

    The permutations are drawn with the forecast's id as seed and are the same for all its models, so the same question
    has the same answer, and the blend's contributions are the weighted sum of its models'.

    Raises
    ------
    NotReadyError
        If a model was exported without typical windows.
    """
    players = players_of(forecast.inputs.spec.features, grain)
    random = random_of(forecast)
    orders = [opposite_pairs(len(players), PAIRS[depth], random) for _ in range(TYPICAL_WINDOWS)]
    return explain_in_orders(forecast, orders, depth, grain)


def explain_in_orders(
    forecast: "RemadeForecast", orders: "Sequence[NDArray[np.int64]]", depth: "Depth", grain: "Grain"
) -> "Explanation":
    """Explain a forecast by given permutations.

    Parameters
    ----------
    orders
        By typical window, ``[order, player]`` in opposite pairs; as many for each.
    """
    started = time.perf_counter()
    players = players_of(forecast.inputs.spec.features, grain)
    mixed = MixedInputs(forecast, players, [coalitions_of(each) for each in orders])
    walked = [_walk(forecast, model, mixed, orders) for model in forecast.models]
    blended = forecast.blended([gains for _, gains in walked])  # [window, order, player, quantity]
    return assemble(
        forecast,
        players,
        [split for split, _ in walked],
        Way("shapley", depth, grain, pairs=orders[0].shape[0] // 2),
        errors=standard_errors(blended),
        seconds=time.perf_counter() - started,
    )


def _walk(
    forecast: "RemadeForecast", model: "ExplainedModel", mixed: MixedInputs, orders: "Sequence[NDArray[np.int64]]"
) -> "tuple[ForecastSplit, NDArray[np.float64]]":
    """Walk one model from each of its typical windows: split and gains ``[window, order, player, quantity]``."""
    forecasts = with_width(forecast.of_member(model, mixed.of(model.require_background())))
    values = forecasts.reshape(len(orders), -1, forecasts.shape[-1])  # [window, coalition, quantity]
    gains = np.stack([gains_of(order, value) for order, value in zip(orders, values, strict=True)])
    split = ForecastSplit(
        base=values[:, EMPTY].mean(axis=0),
        value=values[0, FULL],
        contributions=gains.mean(axis=(0, 1)),
    )
    return split, gains
