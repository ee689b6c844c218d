"""The loss that quantile models are trained on."""

import torch
from torch import Tensor


def pinball_loss(forecast: Tensor, truth: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """Return the mean pinball loss, a scalar tensor.

    For level q and error e = truth - forecast the loss is max(q e, (q - 1) e) (Koenker and Bassett 1978); its mean
    is least at the q-quantile. All windows, horizons and quantiles weigh the same, so give it both arguments in
    units of sigma when horizons and symbols should weigh alike. An outcome that is not known (NaN) counts for nothing;
    without any known one, or with a NaN in a forecast of a known one, the loss is NaN.

    Parameters
    ----------
    forecast
        `[batch, horizon, quantile]`.
    truth
        `[batch, horizon]`, in the same unit; NaN is not known.
    quantiles
        Levels within 0..1, in the order of the last axis.

    Examples
    --------
    >>> pinball_loss(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[2.0]]), (0.1, 0.5)).item()
    0.3499999940395355
    >>> two = torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]])
    >>> pinball_loss(two, torch.tensor([[2.0], [float("nan")]]), (0.1, 0.5)).item()
    0.3499999940395355
    """
    level = torch.tensor(quantiles, dtype=forecast.dtype, device=forecast.device)
    error = truth.unsqueeze(-1) - forecast  # [batch, horizon, quantile]
    losses = torch.maximum(level * error, (level - 1) * error)
    is_known = ~torch.isnan(truth)
    return losses.mean() if bool(is_known.all()) else losses[is_known].mean()
