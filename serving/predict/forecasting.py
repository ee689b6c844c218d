"""Forecasts quantiles of rows: the engines of the selected strategies' models, and their blend."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from feature_repo.targets import to_model_input
from lake.errors import EngineError, ModelError
from serving.deployment import is_within
from serving.forecasts import Member
from serving.predict.making import make_forecasts
from serving.strategies import strategy_named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.deployment import LoadedChallenger, LoadedModels
    from serving.forecasts import Calibration, Row
    from serving.monitoring import Lap

logger = logging.getLogger("quantlake.serving")


class BlendedForecast(NamedTuple):
    """One forecast of a row: quantiles ``[horizon, quantile]``, and the models that took part."""

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
        By place of the row, what is logged and never answered: the forecast of a challenger in the shadow of the
        champion, or that of the champion where a canary answers.
    laps
        By model, when its engine was called and when it was done.
    incomplete
        Places of rows that a challenger should have taken part in, and failed.
    """

    quantiles: "NDArray[np.float64]"
    members: list[list[Member]]
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

    @property
    def all(self) -> tuple[BlendedForecast, ...]:
        """The answered one first, then the shadows."""
        return (self.answered, *self.shadows)


@dataclass(frozen=True)
class _Predictions:
    """Predictions of the champions' engines for some rows, and the inputs of their blend; lists align with rows."""

    x: "NDArray[np.float32]"
    by_model: "Mapping[str, NDArray[np.float32]]"
    weights: "Mapping[str, NDArray[np.float64]]"
    horizons: "Sequence[int]"
    calibrations: "Sequence[Calibration | None]"

    def blended(self) -> "NDArray[np.float64]":
        """Blend and calibrate every row."""
        return make_forecasts(self.by_model, self.weights, self.horizons, self.calibrations)

    def with_challenger(self, name: str, predicted: "NDArray[np.float32]", places: list[int]) -> "NDArray[np.float64]":
        """Blend and calibrate some rows with a challenger's predictions in its champion's place."""
        return make_forecasts(
            {model: predicted if model == name else each[places] for model, each in self.by_model.items()},
            {model: each[places] for model, each in self.weights.items()},
            self.horizons,
            [self.calibrations[place] for place in places],
        )


def forecast(rows: "Sequence[Row]", models: "LoadedModels") -> Forecasts:
    """Forecast rows by the models that their strategies stand for, calibrated, with challengers in their parts.

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
    by_model, laps = _predict(models, names, x)
    predictions = _Predictions(x, by_model, weights, models.horizons, [row.calibration for row in rows])
    champions = {name: Member(name, b.version, b.digest, 1.0) for name, b in models.bundles.items()}
    quantiles = predictions.blended()
    members = [_members(row, champions) for row in per_row]
    found = Forecasts(quantiles.copy(), list(members), laps=laps)
    for challenger in models.challengers:
        places = _places(challenger, rows, per_row)
        challenged = _challenge(challenger, places, predictions) if len(places) else None
        if challenged is None:
            found.incomplete.update(places)
            continue
        standing_in = champions | {challenger.trial.model: _part(challenger)}
        for place, numbers in zip(places, challenged, strict=True):
            other = BlendedForecast(numbers, _members(per_row[place], standing_in))
            if challenger.trial.mode == "canary":
                found.quantiles[place], found.members[place] = other
                other = BlendedForecast(quantiles[place], members[place])
            found.shadows.setdefault(place, []).append(other)
    return found


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
    """Call each engine once; return its predictions, and when it was called and done."""
    predictions, laps = {}, {}
    for name in names:
        started = time.perf_counter()
        predictions[name] = models.engines[name].predict(x)
        laps[name] = started, time.perf_counter()
    return predictions, laps


def _places(challenger: "LoadedChallenger", rows: "Sequence[Row]", per_row: Sequence[Mapping[str, float]]) -> list[int]:
    """Rows that a challenger takes part in: within its share, and with a weight for its model."""
    trial = challenger.trial
    return [
        place
        for place, (row, weights) in enumerate(zip(rows, per_row, strict=True))
        if trial.model in weights and is_within(trial.model, trial.version, row.symbol, trial.share)
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
    return predictions.with_challenger(model, predicted, places)


def _members(weights: Mapping[str, float], parts: Mapping[str, Member]) -> list[Member]:
    return [parts[name]._replace(weight=weight) for name, weight in weights.items()]


def _part(challenger: "LoadedChallenger") -> Member:
    return Member(challenger.trial.model, challenger.trial.version, challenger.trial.digest, 1.0)
