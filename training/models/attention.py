"""Networks that weigh what they look at, and their weights as outputs beside the forecast."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.models.base import ReturnForecaster


class AttentionWeights(NamedTuple):
    """Where a network looked; every weight lies in 0..1 and adds up to 1 along its last axis.

    Parameters
    ----------
    attention
        `[batch, horizon, position]`: how much each position was looked at, the sessions of the window first (the last
        of them is the session the forecast is made at), then the steps ahead.
    feature_weights
        `[batch, session, feature]`: how much each feature counted at each session.
    availability_weights
        `[batch, feature]`: how much it counted which features are known.
    """

    attention: Tensor
    feature_weights: Tensor
    availability_weights: Tensor


class AttentiveForecaster(ReturnForecaster):
    """Base of the models with attention: their weights are exported beside the forecast."""

    def forward_with_weights(self, x: Tensor) -> tuple[Tensor, AttentionWeights]:
        """Return quantiles as `forward` does, and the weights behind them. Each model says how."""
        raise NotImplementedError

    @torch.no_grad()
    def explain(self, x: Tensor) -> AttentionWeights:
        """Return the weights behind the forecasts for a batch `[batch, session, 2 * feature]`."""
        return self.forward_with_weights(x)[1]


class AttentionGraph(nn.Module):
    """A model with attention as a graph that answers quantiles, then each of its weights.

    Parameters
    ----------
    network
        Whose weights it shares.
    """

    OUTPUTS = ("quantiles", *AttentionWeights._fields)

    def __init__(self, network: AttentiveForecaster) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return quantiles and weights, in the order of `OUTPUTS`."""
        quantiles, weights = self.network.forward_with_weights(x)
        return (quantiles, *weights)
