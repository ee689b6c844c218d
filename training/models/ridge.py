"""Ridge regression: a straight line in the last session's values."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lake.errors import ConfigError
from training.models.base import ReturnForecaster, Window, known_quantiles, last_session, standardised_targets
from training.models.scaler import FeatureScaler
from training.models.spec import InputSpec, OutputSpec


class RidgeForecaster(ReturnForecaster):
    """Linear in the last session's scaled values and flags; the band is the spread of its training residuals."""

    weight: Tensor
    bias: Tensor
    residuals: Tensor

    def __init__(self, inputs: InputSpec, outputs: OutputSpec, scaler: FeatureScaler | None = None) -> None:
        super().__init__(inputs, outputs, scaler)
        horizons = len(outputs.horizons)
        self.register_buffer("weight", torch.zeros(inputs.width, horizons))
        self.register_buffer("bias", torch.zeros(horizons))
        self.register_buffer("residuals", torch.zeros(horizons, len(outputs.quantiles)))

    def heads(self, window: Window) -> Tensor:
        """Return the line's answer plus the quantiles of the training residuals of each horizon."""
        centre = torch.addmm(self.bias, last_session(window), self.weight)  # [batch, horizon]
        return centre.unsqueeze(-1) + self.residuals


def fit_ridge(
    network: RidgeForecaster,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    *,
    penalty: float = 1000.0,
) -> RidgeForecaster:
    """Fit the line in closed form, in units of sigma, and return the network.

    Minimises the sum of ``(z - w . a - b)^2 + penalty |w|^2`` per horizon (Hoerl and Kennard 1970); the intercept
    is free.

    Parameters
    ----------
    network
        With the scaler of the same training windows.
    x
        Training windows, float32 `[window, session, 2 * feature]`.
    y
        Their simple returns, float32 `[window, horizon]`, NaN where not known: each horizon learns from those that it
        has. Windows without a scale are left out.
    penalty
        Weight of the squared coefficients, 0 or more; it grows with the number of windows to mean the same.

    Raises
    ------
    ConfigError
        If the penalty is negative, or shapes do not fit.
    """
    if penalty < 0:
        raise ConfigError(f"The ridge penalty is {penalty}. Give a number of at least 0.")
    inner, z = standardised_targets(network, x, y)
    with torch.no_grad():
        features = last_session(network.split(torch.from_numpy(inner))).double().numpy()
    lines = [_line(features[known], column[known], penalty) for column in z.T for known in [~np.isnan(column)]]
    weight, bias = np.stack([line[0] for line in lines], axis=1), np.array([line[1] for line in lines])
    residuals = known_quantiles(z - features @ weight - bias, network.outputs.quantiles)
    for buffer, fitted in ((network.weight, weight), (network.bias, bias), (network.residuals, residuals)):
        buffer.copy_(torch.from_numpy(fitted))
    return network


def _line(
    features: npt.NDArray[np.float64], target: npt.NDArray[np.float64], penalty: float
) -> tuple[npt.NDArray[np.float64], float]:
    """Return weights and intercept of one horizon."""
    middle, offset = features.mean(axis=0), float(target.mean())
    centred = features - middle
    gram = centred.T @ centred + penalty * np.eye(len(middle))
    weight = np.linalg.lstsq(gram, centred.T @ (target - offset), rcond=None)[0]
    return weight, offset - float(middle @ weight)
