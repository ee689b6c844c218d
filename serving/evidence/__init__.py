"""Statistical evidence: posteriors over the means of strategies, and sequential bets against equality.

- `posterior`: what is known of means, and the bet on a clipped quantity, by which trials are judged
- `gains`: the bet on gains whose losses count in full, by which strategy weights are judged
"""

from serving.evidence.gains import GainEvidence
from serving.evidence.posterior import (
    Evidence,
    FloatArray,
    Prior,
    posterior,
    probability_of_being_best,
    probability_of_gain,
)

__all__ = [
    "Evidence",
    "FloatArray",
    "GainEvidence",
    "Prior",
    "posterior",
    "probability_of_being_best",
    "probability_of_gain",
]
