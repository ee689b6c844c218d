"""Statistical evidence: posteriors and sequential bets."""

from serving.evidence.posterior import Evidence, FloatArray, Prior, posterior, probability_of_being_best

__all__ = [
    "Evidence",
    "FloatArray",
    "Prior",
    "posterior",
    "probability_of_being_best",
]
