"""Data quality that can be looked at.

- `disagreement`: how often the sources of a market disagree
"""

from lake.assessment.agreement import MOST_DISAGREEING, Disagreement, disagreement

__all__ = ["MOST_DISAGREEING", "Disagreement", "disagreement"]
