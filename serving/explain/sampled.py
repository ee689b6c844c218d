"""Shapley values of many windows by one engine: what features contribute on the whole."""

from typing import TYPE_CHECKING

import numpy as np

from feature_repo.targets import to_model_input
from serving.engines import TYPICAL_WINDOWS
from serving.explain.players import compose, players_of
from serving.explain.shapley import coalitions_of, gains_of, opposite_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.engines import Background, Engine

SEED = 0


def sampled_contributions(
    engine: "Engine", background: "Background", x: "NDArray[np.float32]", regimes: "Sequence[str]"
) -> "NDArray[np.float64]":
    """Return the Shapley values of the median of each window, as an explanation of depth ``fast`` has them.

    The permutations of a window follow from its place, so that several engines walk alike and the values of a blend
    are the weighted sum of its members'.

    Parameters
    ----------
    background
        Typical windows of the engine's training.
    x
        ``[window, session, 2 * feature]``: values, then mask.
    regimes
        Of the market at each window's close.

    Returns
    -------
    NDArray[np.float64]
        ``[window, feature, horizon]``, fractions of the price; over the features they sum to the forecast less the mean
        forecast of the four typical windows of the regime.
    """
    found = [_of_window(engine, background, window, regimes[place], place) for place, window in enumerate(x)]
    return np.stack(found)


def _of_window(
    engine: "Engine", background: "Background", window: "NDArray[np.float32]", regime: str, place: int
) -> "NDArray[np.float64]":
    players = players_of(background.features, "feature")
    random = np.random.default_rng([SEED, place])
    orders = [opposite_pairs(len(players), 1, random) for _ in range(TYPICAL_WINDOWS)]
    typical = to_model_input(background.windows_of(regime))
    mixed = [
        compose(window, other, coalitions_of(order), players) for other, order in zip(typical, orders, strict=True)
    ]
    quantiles = engine.predict(np.concatenate(mixed)).astype(np.float64)
    median = quantiles[..., quantiles.shape[-1] // 2].reshape(
        TYPICAL_WINDOWS, -1, quantiles.shape[1]
    )  # [typical, row, horizon]
    gains = [gains_of(order, values) for order, values in zip(orders, median, strict=True)]
    contributions: NDArray[np.float64] = np.mean(gains, axis=(0, 1))  # of [typical, order, feature, horizon]
    return contributions
