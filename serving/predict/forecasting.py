"""Forecasts quantiles of rows: the engines of the models that have a weight, and their blend."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from feature_repo.targets import to_model_input
from lake.errors import EngineError, ModelError
from serving.deployment import is_within
from serving.forecasts import QUANTILES, Member, weights_without
from serving.predict.making import make_forecasts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feature_repo.online import BlendWeights
    from serving.deployment import LoadedChallenger, LoadedModels
    from serving.forecasts import Calibration, Row
    from serving.monitoring import Lap

logger = logging.getLogger("quantlake.serving")


class BlendedForecast(NamedTuple):
    """One forecast of a row: quantiles ``[horizon, quantile]``, and by horizon the models that took part."""

    quantiles: "NDArray[np.float64]"
    members: "Sequence[list[Member]]"


@dataclass
class Forecasts:
    """Forecasts of some rows.

    Parameters
    ----------
    quantiles
        ``[row, horizon, quantile]``, what is answered.
    members
        Per row and horizon, the models that took part in it.
    shadows
        By place of the row, what is logged and never answered: the forecast of a challenger in the shadow of the
        champion, or that of the champion where a canary answers.
    laps
        By model, when its engine was called and when it was done.
    incomplete
        Places of rows that a challenger should have taken part in, and failed.
    """

    quantiles: "NDArray[np.float64]"
    members: "list[Sequence[list[Member]]]"
    shadows: dict[int, list[BlendedForecast]] = field(default_factory=dict)
    laps: "dict[str, Lap]" = field(default_factory=dict)
    incomplete: set[int] = field(default_factory=set)

    def of_row(self, place: int) -> "RowForecast":
        """Return the forecasts of one row."""
        return RowForecast(BlendedForecast(self.quantiles[place], self.members[place]), self.shadows.get(place, ()))


@dataclass
class RowForecast:
    """All forecasts of one row, over every horizon.

    Parameters
    ----------
    answered
        What is answered.
    shadows
        What is logged with it.
    templates
        Response templates that were made of it, see `serving.predict.response_template`.
    """

    answered: BlendedForecast
    shadows: Sequence[BlendedForecast] = ()
    templates: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Predictions:
    """Predictions of the champions' engines for some rows, and the inputs of their blend; lists align with rows."""

    x: "NDArray[np.float32]"
    by_model: "Mapping[str, NDArray[np.float32]]"
    weights: "Mapping[str, NDArray[np.float64]]"
    horizons: tuple[int, ...]
    calibrations: "Sequence[Calibration | None]"

    def blended(self) -> "NDArray[np.float64]":
        """Blend and calibrate every row; NaN over a horizon at which no model has a weight."""
        places = range(len(self.horizons))
        weighted = [place for place in places if any(each[:, place].any() for each in self.weights.values())]
        if len(weighted) == len(self.horizons):
            return make_forecasts(self.by_model, self.weights, self.horizons, self.calibrations)
        found = np.full((len(self.x), len(self.horizons), len(QUANTILES)), np.nan)
        if weighted:
            found[:, weighted] = make_forecasts(
                {model: each[:, weighted] for model, each in self.by_model.items()},
                {model: each[:, weighted] for model, each in self.weights.items()},
                [self.horizons[place] for place in weighted],
                self.calibrations,
            )
        return found

    def with_challenger(self, name: str, predicted: "NDArray[np.float32]", places: list[int]) -> "NDArray[np.float64]":
        """Blend and calibrate some rows with a challenger's predictions in its champion's place."""
        return replace(
            self,
            x=self.x[places],
            by_model={model: predicted if model == name else each[places] for model, each in self.by_model.items()},
            weights={model: each[places] for model, each in self.weights.items()},
            calibrations=[self.calibrations[place] for place in places],
        ).blended()


def forecast(rows: "Sequence[Row]", models: "LoadedModels") -> Forecasts:
    """Forecast rows by the models that have a weight, calibrated, with challengers in their parts.

    A horizon is forecast by the models in service that were trained for it. Where others have a weight there, theirs is
    shared out among these; where none of these has one, the numbers are NaN and no model takes part.

    A challenger stands in for the champion of its name, with the same weight, in the rows whose symbol is within its
    share, over the horizons that both were trained for. One that fails is left out: its champion answers.

    Raises
    ------
    ModelError
        If a weighted model is not in service, or an engine in service refuses.
    """
    x = to_model_input(np.stack([row.window for row in rows]))
    per_row = [_weights(row.blend, models.horizons, models.untrained) for row in rows]
    names = sorted({name for weights in per_row for of_horizon in weights for name in of_horizon})
    missing = [name for name in names if name not in models.engines]
    if missing:
        raise ModelError(
            f"The weights of models name {', '.join(missing)}, which is not in service; in service are "
            f"{', '.join(models.engines)}. Promote it, or update `blend_weights`."
        )
    weights = {name: np.array([[of_horizon.get(name, 0.0) for of_horizon in row] for row in per_row]) for name in names}
    by_model, laps = _predict(models, names, x)
    predictions = _Predictions(x, by_model, weights, models.horizons, [row.calibration for row in rows])
    champions = {name: Member(name, b.version, b.digest, 1.0) for name, b in models.bundles.items()}
    quantiles = predictions.blended()
    members = [_members(row, [champions] * len(models.horizons)) for row in per_row]
    found = Forecasts(quantiles.copy(), list(members), laps=laps)
    for challenger in models.challengers:
        places = _places(challenger, rows, weights)
        challenged = _challenge(challenger, places, predictions) if len(places) else None
        if challenged is None:
            found.incomplete.update(places)
            continue
        standing_in = champions | {challenger.trial.model: _part(challenger)}
        trained = challenger.loaded.bundle.signature.horizons
        parts = [standing_in if horizon in trained else champions for horizon in models.horizons]
        for place, numbers in zip(places, challenged, strict=True):
            other = BlendedForecast(numbers, _members(per_row[place], parts))
            if challenger.trial.mode == "canary":
                found.quantiles[place], found.members[place] = other
                other = BlendedForecast(quantiles[place], members[place])
            found.shadows.setdefault(place, []).append(other)
    return found


@lru_cache(maxsize=64)
def _weights(
    blend: "BlendWeights", horizons: tuple[int, ...], untrained: tuple[frozenset[str], ...]
) -> tuple[Mapping[str, float], ...]:
    """Weight of each model by horizon, in the order of the horizons; those with no weight are left out."""
    return tuple(
        weights_without(blend.of_horizon(horizon), lacking)
        for horizon, lacking in zip(horizons, untrained, strict=True)
    )


def _predict(
    models: "LoadedModels", names: Sequence[str], x: "NDArray[np.float32]"
) -> "tuple[dict[str, NDArray[np.float32]], dict[str, Lap]]":
    """Call each engine once; return its predictions, and when it was called and done."""
    predictions, laps = {}, {}
    for name in names:
        started = time.perf_counter()
        predicted = models.engines[name].predict(x)
        predictions[name] = _over(models.horizons, predicted, models.bundles[name].signature.horizons)
        laps[name] = started, time.perf_counter()
    return predictions, laps


def _over(
    horizons: tuple[int, ...],
    predicted: "NDArray[np.float32]",
    trained: tuple[int, ...],
    others: "NDArray[np.float32] | None" = None,
) -> "NDArray[np.float32]":
    """Arrange predictions ``[row, trained horizon, quantile]`` by other horizons: 0 elsewhere, or what `others` say."""
    if trained == horizons:
        return predicted
    shape = (len(predicted), len(horizons), predicted.shape[-1])
    found = np.zeros(shape, predicted.dtype) if others is None else others.copy()
    for place, horizon in enumerate(trained):
        if horizon in horizons:
            found[:, horizons.index(horizon)] = predicted[:, place]
    return found


def _places(
    challenger: "LoadedChallenger", rows: "Sequence[Row]", weights: "Mapping[str, NDArray[np.float64]]"
) -> list[int]:
    """Rows that a challenger takes part in: within its share, and with a weight for its model at some horizon."""
    trial = challenger.trial
    of_model = weights.get(trial.model, np.zeros((len(rows), 1)))
    return [
        place
        for place, row in enumerate(rows)
        if of_model[place].any() and is_within(trial.model, trial.version, row.symbol, trial.share)
    ]


def _challenge(
    challenger: "LoadedChallenger", places: list[int], predictions: _Predictions
) -> "NDArray[np.float64] | None":
    """Forecast these rows with the challenger in its champion's place; None, and a line in the log, when it fails."""
    model = challenger.trial.model
    try:
        predicted = challenger.loaded.engine.predict(predictions.x[places])
    except EngineError:
        logger.exception("version %s of %s on trial fails; its champion answers", challenger.trial.version, model)
        return None
    trained, champion = challenger.loaded.bundle.signature.horizons, predictions.by_model[model][places]
    return predictions.with_challenger(model, _over(predictions.horizons, predicted, trained, champion), places)


def _members(weights: "Sequence[Mapping[str, float]]", parts: "Sequence[Mapping[str, Member]]") -> list[list[Member]]:
    """By horizon, the models that take part, of those that may."""
    return [
        [of_horizon[name]._replace(weight=weight) for name, weight in of.items()]
        for of, of_horizon in zip(weights, parts, strict=True)
    ]


def _part(challenger: "LoadedChallenger") -> Member:
    return Member(challenger.trial.model, challenger.trial.version, challenger.trial.digest, 1.0)
