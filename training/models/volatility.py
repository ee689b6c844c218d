"""Forecasters of one formula: a volatility times quantiles that do not change. What every other model has to beat."""

from statistics import NormalDist
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from feature_repo.targets.windows import nearest_scales
from training.models.base import ReturnForecaster, Window, known_quantiles, standardised_targets
from training.models.scaler import FeatureScaler
from training.models.spec import InputSpec, OutputSpec


class VolatilityForecaster(ReturnForecaster):
    """Quantiles of one shape, as wide as one feature says.

    Where that feature is not known or zero, the window's own scale stands for it. Before it is fitted the shape is that
    of the normal distribution: -1.2816, 0, 1.2816.
    """

    volatilities: ClassVar[tuple[str, ...]]
    """Annualised volatilities of the window: one for all horizons, or one over a bar and one over several."""

    levels: Tensor

    def __init__(self, inputs: InputSpec, outputs: OutputSpec, scaler: FeatureScaler | None = None) -> None:
        super().__init__(inputs, outputs, scaler)
        normal = [NormalDist().inv_cdf(level) for level in outputs.quantiles]
        self.register_buffer("levels", torch.tensor([normal] * len(outputs.horizons), dtype=torch.float32))

    def heads(self, window: Window) -> Tensor:
        """Return the shape, stretched by how the feature stands to the window's scale."""
        return self.stretch(window).unsqueeze(-1) * self.levels  # [batch, horizon, 1] x [horizon, quantile]

    def stretch(self, window: Window) -> Tensor:
        """Return the feature over the scale of each horizon, `[batch, horizon]`; 1 where there is none."""
        names = self.volatilities
        names = names if len(names) == 1 else nearest_scales(names, self.outputs.horizons)
        own, scales = self.inputs.positions(names), self.inputs.scale_indices
        values, known = window.values[:, -1], window.known[:, -1]
        is_known = (known[:, own] > 0) & (values[:, own] > 0) & (values[:, scales] > 0)
        ratio = torch.where(is_known, values[:, own] / values[:, scales], 1.0)
        return ratio.expand(-1, len(self.outputs.horizons))


class NaiveForecaster(VolatilityForecaster):
    """Zero return, and the band of a normal distribution of the last twenty sessions' volatility; nothing is fitted."""

    volatilities = ("volatility_20d",)


class EwmaForecaster(VolatilityForecaster):
    """Scaled by the exponential mean of squared returns."""

    volatilities = ("volatility_ewma_94",)


class HarForecaster(VolatilityForecaster):
    """Scaled by the heterogeneous autoregression."""

    volatilities = ("volatility_har", "volatility_har_5d")


class GarchForecaster(VolatilityForecaster):
    """Scaled by GJR-GARCH."""

    volatilities = ("volatility_garch", "volatility_garch_5d")


def fit_levels(
    network: VolatilityForecaster, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]
) -> VolatilityForecaster:
    """Take the shape from the empirical quantiles of return / volatility per horizon, and return the network.

    Parameters
    ----------
    network
        Its levels are replaced.
    x
        Training windows, float32 `[window, session, 2 * feature]`; only the last session is looked at.
    y
        Their simple returns, float32 `[window, horizon]`, NaN where not known. Windows without a scale are left out.
    """
    inner, z = standardised_targets(network, x, y)
    with torch.no_grad():
        stretch = network.stretch(network.split(torch.from_numpy(inner))).double().numpy()
    levels = known_quantiles(z / stretch, network.outputs.quantiles)
    network.levels.copy_(torch.from_numpy(levels))
    return network
