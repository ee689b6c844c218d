"""Weights of the models in a forecast, learned from what their forecasts have lost so far.

- `weighting`: from losses to weights
- `learning`: what had matured by each close, and the rows of `blend_weights`
"""

from serving.blend_weights.learning import learn_weights, update_blend_weights
from serving.blend_weights.weighting import WeightRule, exponential_weights

__all__ = ["WeightRule", "exponential_weights", "learn_weights", "update_blend_weights"]
