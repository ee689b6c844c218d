"""What importance is measured of: every model in service alone, and the blend that answers."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serving.forecasts import BLEND, WEIGHT_TOLERANCE
from serving.predict import make_forecasts
from training.judge import quantile_losses

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from serving.engines import Engine
    from serving.forecasts import Calibration
    from serving.importance.matured import MaturedPanel


@dataclass(frozen=True)
class Subject:
    """A forecaster at one horizon, and the windows that it is measured on.

    Parameters
    ----------
    name
        Of the model, or `BLEND`.
    horizon
        Bars ahead.
    members
        Engines whose predictions it needs, by model.
    is_measured
        ``[window]``.
    digest
        SHA-256 of the model file; of a blend, over its members' names and digests.
    """

    name: str
    horizon: int
    members: "Mapping[str, Engine]"
    is_measured: "NDArray[np.bool_]"
    digest: str

    def losses(self, panel: "MaturedPanel", predictions: "Mapping[str, NDArray[np.float32]]") -> "NDArray[np.float64]":
        """Return the pinball loss of each measured window, the mean over the quantiles.

        Parameters
        ----------
        predictions
            By model, ``[window, horizon, quantile]`` of all windows of the panel.
        """
        rows = self.is_measured
        parts = {
            name: predictions[name][rows][:, [engine.signature.horizons.index(self.horizon)]]
            for name, engine in self.members.items()
        }
        quantiles = make_forecasts(parts, self._weights(panel), [self.horizon], self._calibrations(panel))[:, 0]
        levels = next(iter(self.members.values())).signature.quantiles
        losses: NDArray[np.float64] = quantile_losses(panel.truth[self.horizon][rows], quantiles, levels).mean(axis=-1)
        return losses

    def _weights(self, panel: "MaturedPanel") -> "dict[str, NDArray[np.float64] | float]":
        if self.name != BLEND:
            return {self.name: 1.0}
        weights = panel.weights[self.horizon]
        return {name: weights[name][self.is_measured][:, None] for name in self.members}

    def _calibrations(self, panel: "MaturedPanel") -> "list[Calibration | None] | None":
        if self.name != BLEND:
            return None
        return [each for each, is_kept in zip(panel.calibrations, self.is_measured, strict=True) if is_kept]


def subjects_of(panel: "MaturedPanel", engines: "Mapping[str, Engine]") -> list[Subject]:
    """Return every model at each horizon that it forecasts, then the blend; only those with sessions to measure."""
    found = [
        Subject(name, horizon, {name: engine}, panel.is_measured(horizon, engine.signature.train_until), engine.digest)
        for name, engine in engines.items()
        for horizon in engine.signature.horizons
        if horizon in panel.truth
    ]
    blends = [_blend(panel, engines, horizon) for horizon in panel.truth]
    return [one for one in (*found, *(blend for blend in blends if blend)) if one.is_measured.any()]


def _blend(panel: "MaturedPanel", engines: "Mapping[str, Engine]", horizon: int) -> Subject | None:
    """The blend where every model with a weight is in service and was not trained on the session; None without any."""
    weights = panel.weights[horizon]
    able = {name: engine for name, engine in engines.items() if horizon in engine.signature.horizons}
    members = {name: able[name] for name in weights if name in able}
    if not members:
        return None
    total = np.sum([weights[name] for name in members], axis=0)  # NaN where nothing was weighed
    has_all = np.abs(total - 1.0) <= WEIGHT_TOLERANCE
    until: datetime = max(engine.signature.train_until for engine in members.values())
    named = "\n".join(f"{name} {engine.digest}" for name, engine in sorted(members.items()))
    return Subject(
        BLEND, horizon, members, panel.is_measured(horizon, until) & has_all, hashlib.sha256(named.encode()).hexdigest()
    )
