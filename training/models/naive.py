"""The forecaster that every other one has to beat: no view at all, as uncertain as the market was."""

from statistics import NormalDist

import torch
from torch import Tensor

from training.models.base import ReturnForecaster, Window
from training.models.scaler import FeatureScaler
from training.models.spec import InputSpec, OutputSpec


class NaiveForecaster(ReturnForecaster):
    """Zero, as uncertain as the last volatility says: z is -1.2816, 0, 1.2816, the normal distribution's quantiles."""

    levels: Tensor

    def __init__(self, inputs: InputSpec, outputs: OutputSpec, scaler: FeatureScaler | None = None) -> None:
        super().__init__(inputs, outputs, scaler)
        levels = [NormalDist().inv_cdf(level) for level in outputs.quantiles]
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32))

    def heads(self, window: Window) -> Tensor:
        """Return the same z for every window."""
        return self.levels.expand(window.values.shape[0], len(self.outputs.horizons), len(self.levels))
