"""Integrated gradients of one network: how its forecast changes along the way from baselines to a window.

Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks".
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.models.base import ReturnForecaster

STEPS = 64
"""Points on the way from each baseline, at which a gradient is computed; of a Gauss-Legendre quadrature."""


def integrated_gradients(
    network: "ReturnForecaster", x: "NDArray[np.float32]", baselines: "NDArray[np.float32]", horizon: int
) -> "NDArray[np.float64]":
    """Return what each value of a window contributes to the quantiles of a forecast, on average over the baselines.

    Over sessions and features the contributions sum to the forecast of the window less the mean forecast of the
    baselines, up to the error of the quadrature.

    Parameters
    ----------
    network
        In evaluation mode, on the processor.
    x
        Model input ``[session, 2 * feature]``, values then flags.
    baselines
        ``[baseline, session, 2 * feature]``, with the flags of `x`: what is known does not change on the way.
    horizon
        Position of the horizon among those of the network.

    Returns
    -------
    NDArray[np.float64]
        ``[session, feature, quantile]``, fractions of the price.
    """
    import torch

    from training.fit import threads

    points, weights = np.polynomial.legendre.leggauss(STEPS)
    shares = ((points + 1) / 2).astype(np.float32)  # from -1..1 to 0..1
    way = baselines[:, None] + shares[:, None, None] * (x - baselines)[:, None]  # [baseline, step, session, column]
    with threads(1), torch.enable_grad():
        inputs = torch.from_numpy(way.reshape(-1, *x.shape)).requires_grad_()
        quantiles = network(inputs)[:, horizon]  # [baseline * step, quantile]
        gradients = [
            torch.autograd.grad(quantiles[:, place].sum(), inputs, retain_graph=True)[0].numpy()
            for place in range(quantiles.shape[-1])
        ]
    along = np.stack(gradients, axis=-1).reshape(*way.shape, -1).astype(np.float64)
    mean_gradients = np.einsum("bsijq,s->bijq", along, weights / 2)  # over the steps
    contributions = (mean_gradients * (x - baselines)[..., None]).mean(axis=0)
    values: NDArray[np.float64] = contributions[:, : x.shape[-1] // 2]  # the flags are equal, so theirs are 0
    return values
