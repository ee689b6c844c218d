"""Explanations of stored forecasts by the engines that made them.

- `result`: contributions of features to p10, p50, p90 and the width of one forecast
"""

from serving.explain.result import QUANTITIES, BackgroundUse, Contribution, Explanation, MemberExplanation

__all__ = ["QUANTITIES", "BackgroundUse", "Contribution", "Explanation", "MemberExplanation"]
