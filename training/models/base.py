"""What all models share: splitting the window, scaling it, and bringing the answer back to returns."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lake.errors import ConfigError
from training.models.scaler import FeatureScaler
from training.models.spec import SESSIONS_PER_YEAR, InputSpec, OutputSpec


class Window(NamedTuple):
    """One batch of windows, taken apart; each part is `[batch, session, feature]`.

    Parameters
    ----------
    values
        In the unit of the feature, 0 where not known.
    known
        1 where known, 0 where not.
    scaled
        (values - mean) / std where known, 0 (the training mean) where not.
    """

    values: Tensor
    known: Tensor
    scaled: Tensor


class ReturnForecaster(nn.Module):
    """Base of every model: quantiles of the return over each horizon.

    A model itself answers in units of risk: z = return / sigma, where sigma is the volatility that the window's scale
    of the horizon expects, / sqrt(252) x sqrt(horizon). So it need not learn that some symbols move more than others,
    and it learns the shape of a distribution rather than its width.

    Parameters
    ----------
    inputs, outputs
        What it is given and what it answers.
    scaler
        Mean and std per feature from training windows; kept in the module, so that an export carries them.
        None changes nothing until a state is loaded.
    """

    mean: Tensor
    std: Tensor
    root_horizon: Tensor

    def __init__(self, inputs: InputSpec, outputs: OutputSpec, scaler: FeatureScaler | None = None) -> None:
        super().__init__()
        if len(inputs.scales) not in {1, len(outputs.horizons)}:
            raise ConfigError(
                f"The window has {len(inputs.scales)} scales, expected one, or one for each of the horizons "
                f"{outputs.horizons}."
            )
        scaler = FeatureScaler.identity(len(inputs.features)) if scaler is None else scaler
        self.inputs, self.outputs = inputs, outputs
        self.register_buffer("mean", torch.tensor(scaler.mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(scaler.std, dtype=torch.float32))
        roots = [math.sqrt(bars / SESSIONS_PER_YEAR) for bars in outputs.bars]
        self.register_buffer("root_horizon", torch.tensor(roots, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return quantiles of the simple return, `[batch, horizon, quantile]`, ascending along the last axis.

        Parameters
        ----------
        x
            float32 `[batch, session, 2 * feature]`, values then flags. A window whose last scale is flagged as not
            known has none: its answer is NaN, which an engine refuses.
        """
        window = self.split(x)
        return self.heads(window) * self.sigma(window).unsqueeze(-1)  # [batch, horizon, quantile]

    def standardised(self, x: Tensor) -> Tensor:
        """Return the same quantiles in units of sigma, `[batch, horizon, quantile]`: the scale of training."""
        return self.heads(self.split(x))

    def split(self, x: Tensor) -> Window:
        """Return the values, the flags and the scaled values of a batch."""
        values, known = x.chunk(2, dim=-1)  # [batch, session, feature]
        return Window(values, known, (values - self.mean) / self.std * known)

    def sigma(self, window: Window) -> Tensor:
        """Return the expected size of the return over each horizon, `[batch, horizon]`, as a fraction."""
        places = self.inputs.scale_indices
        volatility = window.values[:, -1, places] / window.known[:, -1, places]  # 0 / 0 is NaN: no scale, no forecast
        return volatility * self.root_horizon  # [batch, scale] x [horizon]

    def heads(self, window: Window) -> Tensor:
        """Return z, `[batch, horizon, quantile]`, ascending along the last axis. Each model says how."""
        raise NotImplementedError

    def architecture(self) -> dict[str, int | float]:
        """Return the sizes that, with the two specs, are needed to build the module again before loading its state."""
        return {}


def last_session(window: Window) -> Tensor:
    """Return the last session's scaled values and flags, `[batch, 2 * feature]`."""
    return torch.cat([window.scaled[:, -1], window.known[:, -1]], dim=-1)


def standardised_targets(
    network: ReturnForecaster, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return the windows that have a scale, and their returns in units of sigma as float64 `[window, horizon]`.

    A window without a scale is one whose last scale is not known, or zero (a price that stood still). A return that is
    not known stays NaN: the window is learnt from at the other horizons.

    Raises
    ------
    ConfigError
        If there is not one return per window and horizon, one is infinite, no window is left, or a horizon has no
        return.
    """
    if x.ndim != 3 or y.shape != (len(x), len(network.outputs.horizons)):  # noqa: PLR2004 - window, session, column
        raise ConfigError(
            f"Windows of shape {x.shape} and returns of shape {y.shape} do not fit: "
            f"expected [n, session, column] and [n, {len(network.outputs.horizons)}]."
        )
    if np.isinf(y).any():
        raise ConfigError("Some training returns are infinite. Find the bar without a price; NaN says not known.")
    with torch.no_grad():
        sigma = network.sigma(network.split(torch.from_numpy(x))).double().numpy()
    scaled = (sigma > 0).all(axis=1)
    if not scaled.any():
        raise ConfigError(
            f"None of the {len(x)} training windows has a known, positive volatility. Fit on more windows."
        )
    unlearnt = [h for h, column in zip(network.outputs.horizons, y[scaled].T, strict=True) if np.isnan(column).all()]
    if unlearnt:
        raise ConfigError(
            f"None of {scaled.sum()} training windows has a return over {unlearnt[0]} bars. Fit on a longer history, "
            "or declare shorter horizons."
        )
    return x[scaled], y[scaled] / sigma[scaled]


def known_quantiles(values: npt.NDArray[np.float64], levels: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return empirical quantiles of the known values of each horizon, `[window, horizon] -> [horizon, quantile]`."""
    return np.stack([np.quantile(column[~np.isnan(column)], levels) for column in values.T])
