"""From rows to quantiles: the engines of the models that the strategies in force stand for, and their blend."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from feature_repo.targets.windows import to_model_input
from lake.errors import EngineError, ModelError
from serving.deployment import is_within
from serving.forecasts import Member, blend
from serving.strategies import strategy_named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.deployment import LoadedChallenger, LoadedModels
    from serving.forecasts import Row
    from serving.monitoring import Lap

logger = logging.getLogger("quantlake.serving")


class Said(NamedTuple):
    """Another forecast of a row, made beside the one that is answered: quantiles ``[horizon, quantile]`` and models."""

    quantiles: "NDArray[np.float64]"
    members: list[Member]


@dataclass
class Forecasts:
    """Forecasts of some rows.

    Parameters
    ----------
    quantiles
        ``[row, horizon, quantile]``, what is answered.
    members
        Per row, the models that took part in it.
    shadows
        By place of the row, what is logged and never answered: what a challenger says in the shadow of the champion,
        or the champion where a canary answers.
    laps
        By model, when its engine was called and when it was done.
    incomplete
        Places of rows that a challenger should have taken part in, and failed.
    """

    quantiles: "NDArray[np.float64]"
    members: list[list[Member]]
    shadows: dict[int, list[Said]] = field(default_factory=dict)
    laps: "dict[str, Lap]" = field(default_factory=dict)
    incomplete: set[int] = field(default_factory=set)

    def of_row(self, place: int) -> "RowForecast":
        """Return what is said of one row."""
        return RowForecast(Said(self.quantiles[place], self.members[place]), self.shadows.get(place, ()))


@dataclass
class RowForecast:
    """All that is said of one row, over every horizon.

    Parameters
    ----------
    said
        What is answered.
    shadows
        What is logged with it.
    drafts
        What was written down of it already, see `serving.predict.response_template`.
    """

    said: Said
    shadows: Sequence[Said] = ()
    drafts: dict[Any, Any] = field(default_factory=dict)


def forecast(rows: "Sequence[Row]", models: "LoadedModels") -> Forecasts:
    """Blend the forecasts of the models that the rows' strategies stand for, and let challengers take their part.

    A challenger stands in for the champion of its name, with the same weight, in the rows whose symbol is within its
    share. One that fails is left out: its champion answers.

    Raises
    ------
    ModelError
        If a weighted model is not in service, or an engine in service refuses.
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
    predictions, laps = _predict(models, names, x)
    champions = {name: Member(name, b.version, b.digest, 1.0) for name, b in models.bundles.items()}
    quantiles = blend(predictions, weights)
    members = [_members(row, champions) for row in per_row]
    said = Forecasts(quantiles.copy(), list(members), laps=laps)
    for challenger in models.challengers:
        places = _places(challenger, rows, per_row)
        challenged = _challenge(challenger, places, x, predictions, weights) if len(places) else None
        if challenged is None:
            said.incomplete.update(places)
            continue
        standing_in = champions | {challenger.said.model: _part(challenger)}
        for place, numbers in zip(places, challenged, strict=True):
            other = Said(numbers, _members(per_row[place], standing_in))
            if challenger.said.mode == "canary":
                said.quantiles[place], said.members[place] = other
                other = Said(quantiles[place], members[place])
            said.shadows.setdefault(place, []).append(other)
    return said


def model_weights(strategies: "Sequence[str]", weights: "Sequence[float]") -> dict[str, float]:
    """Weight of each model: the sum over the strategies that read it, those with no weight left out."""
    total: dict[str, float] = {}
    for name, weight in zip(strategies, weights, strict=True):
        if weight > 0:
            model = strategy_named(name).model
            total[model] = total.get(model, 0.0) + weight
    return dict(sorted(total.items()))


def _predict(
    models: "LoadedModels", names: Sequence[str], x: "NDArray[np.float32]"
) -> "tuple[dict[str, NDArray[np.float32]], dict[str, Lap]]":
    """Ask each engine once; what it says, and when it was asked."""
    predictions, laps = {}, {}
    for name in names:
        started = time.perf_counter()
        predictions[name] = models.engines[name].predict(x)
        laps[name] = started, time.perf_counter()
    return predictions, laps


def _places(challenger: "LoadedChallenger", rows: "Sequence[Row]", per_row: Sequence[Mapping[str, float]]) -> list[int]:
    """Rows that a challenger takes part in: within its share, and with a weight for its model."""
    said = challenger.said
    return [
        place
        for place, (row, weights) in enumerate(zip(rows, per_row, strict=True))
        if said.model in weights and is_within(said.model, said.version, row.symbol, said.share)
    ]


def _challenge(
    challenger: "LoadedChallenger",
    places: list[int],
    x: "NDArray[np.float32]",
    predictions: "Mapping[str, NDArray[np.float32]]",
    weights: "Mapping[str, NDArray[np.float64]]",
) -> "NDArray[np.float64] | None":
    """Blend these rows with the challenger in its champion's place; None, and a line in the log, when it fails."""
    model = challenger.said.model
    try:
        own = challenger.loaded.engine.predict(x[places])
    except EngineError:
        logger.exception("version %s of %s on trial fails; its champion answers", challenger.said.version, model)
        return None
    mine = {name: own if name == model else numbers[places] for name, numbers in predictions.items()}
    return blend(mine, {name: each[places] for name, each in weights.items()})


def _members(weights: Mapping[str, float], parts: Mapping[str, Member]) -> list[Member]:
    return [parts[name]._replace(weight=weight) for name, weight in weights.items()]


def _part(challenger: "LoadedChallenger") -> Member:
    return Member(challenger.said.model, challenger.said.version, challenger.said.digest, 1.0)
