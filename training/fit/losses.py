"""The loss that quantile models are trained on."""

import torch
from torch import Tensor


def pinball_loss(forecast: Tensor, truth: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """Return the mean pinball loss, a scalar tensor.

    For level q and error e = truth - forecast the loss is max(q e, (q - 1) e) (Koenker and Bassett 1978); its mean
    is least at the q-quantile. All windows, horizons and quantiles weigh the same, so give it both arguments in
    units of sigma when horizons and symbols should weigh alike. A NaN in either argument makes the loss NaN.

    Parameters
    ----------
    forecast
        `[batch, horizon, quantile]`.
    truth
        `[batch, horizon]`, in the same unit.
    quantiles
        Levels within 0..1, in the order of the last axis.

    Examples
    --------
    >>> pinball_loss(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[2.0]]), (0.1, 0.5)).item()
    0.3499999940395355
    """
    level = torch.tensor(quantiles, dtype=forecast.dtype, device=forecast.device)
    error = truth.unsqueeze(-1) - forecast  # [batch, horizon, quantile]
    return torch.maximum(level * error, (level - 1) * error).mean()
