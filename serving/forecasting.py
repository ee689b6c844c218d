"""From rows to quantiles: the engines of the models that the strategies in force stand for, and their blend."""

from typing import TYPE_CHECKING

import numpy as np

from feature_repo.windows import to_model_input
from lake.errors import ModelError
from serving.blend import Member, blend
from serving.strategies import strategy_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.champions import LoadedModels
    from serving.rows import Row


def forecast(rows: "Sequence[Row]", models: "LoadedModels") -> "tuple[NDArray[np.float64], list[list[Member]]]":
    """Blend the forecasts of the models that the rows' strategies stand for.

    Returns
    -------
    tuple
        Quantiles ``[row, horizon, quantile]`` and, per row, the models that took part.
    """
    x = to_model_input(np.stack([row.window for row in rows]))
    per_row = [model_weights(row.strategies, row.weights) for row in rows]
    names = sorted({name for weights in per_row for name in weights})
    missing = [name for name in names if name not in models.engines]
    if missing:
        raise ModelError(
            f"The selected strategies use {', '.join(missing)}, which is not in service; in service are "
            f"{', '.join(models.engines)}. Promote it, or let the selection run again."
        )
    weights = {name: np.array([row.get(name, 0.0) for row in per_row]) for name in names}
    quantiles = blend({name: models.engines[name].predict(x) for name in names}, weights)
    bundles = models.bundles
    members = [
        [Member(n, bundles[n].version, bundles[n].digest, weight) for n, weight in row.items()] for row in per_row
    ]
    return quantiles, members


def model_weights(strategies: "Sequence[str]", weights: "Sequence[float]") -> dict[str, float]:
    """Weight of each model: the sum over the strategies that read it, those with no weight left out."""
    total: dict[str, float] = {}
    for name, weight in zip(strategies, weights, strict=True):
        if weight > 0:
            model = strategy_named(name).model
            total[model] = total.get(model, 0.0) + weight
    return dict(sorted(total.items()))
