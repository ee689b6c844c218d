"""Integrated gradients of the networks of a forecast; the explanation process alone imports it (needs torch).

- `networks`: the trained networks behind exported files, by digest, compared with their engines
- `integrate`: gradients along the straight line from typical windows to the asked one
- `explained`: from the gradients of the networks to the explanation of the blend
"""

from serving.explain.gradients.explained import GradientExplanations

__all__ = ["GradientExplanations"]
