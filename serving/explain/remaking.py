"""A stored forecast made again: its window, or changed ones, through its own models, weights and correction."""

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.targets import FloatArray, to_model_input
from lake.errors import EngineError
from serving.forecasts import QUANTILES
from serving.predict import make_forecasts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.explain.models import ExplainedModel, ExplainedModels
    from serving.replay import ForecastInputs

TOLERANCE = 1e-5
"""Largest difference that another engine or processor may make, as a fraction of price."""


@dataclass(frozen=True)
class RemadeForecast:
    """One stored forecast with everything that computes it.

    Parameters
    ----------
    inputs
        Row, receipt and window.
    models
        In the order of the receipt.
    """

    inputs: "ForecastInputs"
    models: "Sequence[ExplainedModel]"

    @classmethod
    def of(cls, inputs: "ForecastInputs", known: "ExplainedModels") -> "RemadeForecast":
        """Load the models of a forecast, and compute it again.

        Raises
        ------
        ModelError
            If a model cannot be loaded, or what is computed is not what was forecast.
        """
        made = cls(inputs, [known.take(use) for use in inputs.models])
        again, stored = made.of_windows(inputs.window[None])[0], made.stored
        if np.abs(again - stored).max() > TOLERANCE:
            raise EngineError(
                f"Forecast {inputs.row['forecast_id']} comes out as {again.tolist()}, and {stored.tolist()} was "
                f"forecast. `quantlake replay {inputs.row['forecast_id']}` says what differs."
            )
        return made

    @cached_property
    def stored(self) -> "NDArray[np.float64]":
        """Quantiles p10, p50, p90 as they were forecast."""
        return np.array([self.inputs.row[name] for name in QUANTILES], np.float64)

    @property
    def horizon(self) -> int:
        """Bars ahead."""
        bars: int = self.inputs.row["horizon_sessions"]
        return bars

    @property
    def engine_name(self) -> str:
        """Runtime of the engines, with its version."""
        return f"onnxruntime {version('onnxruntime')}"

    @property
    def devices(self) -> list[str]:
        """Devices that the engines compute on."""
        return sorted({model.engine.device for model in self.models})

    def of_windows(self, windows: FloatArray) -> "NDArray[np.float64]":
        """Forecast windows ``[window, session, feature]`` as this forecast was made: ``[window, quantile]``.

        The window of the forecast itself gives the stored numbers, bit for bit on a processor.
        """
        x = to_model_input(windows)
        predictions = {model.use.name: self._over_horizon(model, x) for model in self.models}
        weights = {model.use.name: model.use.weight for model in self.models}
        calibrations = [self.inputs.calibration] * len(x)
        return make_forecasts(predictions, weights, [self.horizon], calibrations)[:, 0]

    def of_member(self, model: "ExplainedModel", x: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """Forecast model inputs by one model alone, with the correction of the band: ``[window, quantile]``.

        Blend and correction are linear in quantiles that are in order, which every engine's are; so the forecast is
        `blended` of its models'.
        """
        predicted = {model.use.name: self._over_horizon(model, x)}
        alone = make_forecasts(predicted, {model.use.name: 1.0}, [self.horizon], [self.inputs.calibration] * len(x))
        return alone[:, 0]

    def corrected(self, parts: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """Apply the correction of the band to parts of p10, p50 and p90, in which it is linear: ``[..., quantile]``."""
        band = {"unit": np.array([[[-1.0, 0.0, 1.0]]], np.float32)}
        unit = make_forecasts(band, {"unit": 1.0}, [self.horizon], [self.inputs.calibration])[0, 0]
        p50 = parts[..., 1]
        lower, upper = unit[0] * (p50 - parts[..., 0]), unit[2] * (parts[..., 2] - p50)
        return np.stack([p50 + lower, p50, p50 + upper], axis=-1)

    @cached_property
    def shares(self) -> list[float]:
        """Weights of the models in the blend; they sum to one."""
        total = sum(model.use.weight for model in self.models)
        return [model.use.weight / total for model in self.models]

    def blended(self, parts: "Sequence[NDArray[np.float64]]") -> "NDArray[np.float64]":
        """Return what is linear in the forecasts of the models for the blend: the weighted sum of theirs."""
        summed: NDArray[np.float64] = np.tensordot(self.shares, np.stack(parts), axes=1)
        return summed

    def _over_horizon(self, model: "ExplainedModel", x: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Predictions of a model over the horizon of the forecast, ``[window, 1, quantile]``."""
        trained = model.engine.signature.horizons
        if self.horizon not in trained:
            raise EngineError(f"Model '{model.use.name}' forecasts over {trained} bars, and not over {self.horizon}.")
        place = trained.index(self.horizon)
        return model.engine.predict(x)[:, place : place + 1]
