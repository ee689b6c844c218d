"""Statistical evidence: posteriors over the means of strategies, and sequential bets against equality."""

from serving.evidence.posterior import Evidence, FloatArray, Prior, posterior, probability_of_being_best

__all__ = [
    "Evidence",
    "FloatArray",
    "Prior",
    "posterior",
    "probability_of_being_best",
]
