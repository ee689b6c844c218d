"""Two forecasters that every other one has to beat: no view at all, and a straight line."""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lake.errors import ConfigError
from training.models.base import ReturnForecaster, Window
from training.models.spec import InputSpec, OutputSpec
from training.scaling import Scaler


class NaiveForecaster(ReturnForecaster):
    """Zero, as uncertain as the last volatility says: z is -1.2816, 0, 1.2816, the normal distribution's quantiles."""

    levels: Tensor

    def __init__(self, inputs: InputSpec, outputs: OutputSpec, scaler: Scaler | None = None) -> None:
        super().__init__(inputs, outputs, scaler)
        levels = [NormalDist().inv_cdf(level) for level in outputs.quantiles]
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32))

    def heads(self, window: Window) -> Tensor:
        """Return the same z for every window."""
        return self.levels.expand(window.values.shape[0], len(self.outputs.horizons), len(self.levels))


class RidgeForecaster(ReturnForecaster):
    """Linear in the last session's scaled values and flags; the band is the spread of its training residuals."""

    weight: Tensor
    bias: Tensor
    residuals: Tensor

    def __init__(self, inputs: InputSpec, outputs: OutputSpec, scaler: Scaler | None = None) -> None:
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

    Minimises the sum of (z - w . a - b)^2 + penalty |w|^2 per horizon (Hoerl and Kennard 1970); the intercept is free.

    Parameters
    ----------
    network
        With the scaler of the same training windows.
    x
        Training windows, float32 `[window, session, 2 * feature]`.
    y
        Their simple returns, float32 `[window, horizon]`, all known. Windows without a scale are left out.
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
    middle, offset = features.mean(axis=0), z.mean(axis=0)
    centred = features - middle
    gram = centred.T @ centred + penalty * np.eye(len(middle))
    weight = np.linalg.lstsq(gram, centred.T @ (z - offset), rcond=None)[0]
    bias = offset - middle @ weight
    residuals = np.quantile(z - features @ weight - bias, network.outputs.quantiles, axis=0).T  # [horizon, quantile]
    for buffer, fitted in ((network.weight, weight), (network.bias, bias), (network.residuals, residuals)):
        buffer.copy_(torch.from_numpy(fitted))
    return network


def last_session(window: Window) -> Tensor:
    """Return the last session's scaled values and flags, `[batch, 2 * feature]`."""
    return torch.cat([window.scaled[:, -1], window.known[:, -1]], dim=-1)


def standardised_targets(
    network: ReturnForecaster, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return the windows that have a scale, and their returns in units of sigma as float64 `[window, horizon]`.

    A window without a scale is one whose last volatility is not known, or zero (a price that stood still).

    Raises
    ------
    ConfigError
        If there is not one return per window and horizon, one is not finite, or no window is left.
    """
    if x.ndim != 3 or y.shape != (len(x), len(network.outputs.horizons)):  # noqa: PLR2004 - window, session, column
        raise ConfigError(
            f"Windows of shape {x.shape} and returns of shape {y.shape} do not fit: "
            f"expected [n, session, column] and [n, {len(network.outputs.horizons)}]."
        )
    if not np.isfinite(y).all():
        raise ConfigError("Some training returns are NaN or infinite. Fit on windows whose outcomes are all known.")
    with torch.no_grad():
        sigma = network.sigma(network.split(torch.from_numpy(x))).double().numpy()
    scaled = (sigma > 0).all(axis=1)
    if not scaled.any():
        raise ConfigError(
            f"None of the {len(x)} training windows has a known, positive volatility. Fit on more windows."
        )
    return x[scaled], y[scaled] / sigma[scaled]
