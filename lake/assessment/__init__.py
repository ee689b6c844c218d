"""Data quality that can be looked at. Nothing here changes or refuses a row.

- `assess`: bring `findings` and `quality_scores` up to what the lake holds
- `find_anomalies`, `score_sessions`: the same as pure functions
- `disagreement`: how often the sources of a market disagree, with the share from which on it is an alarm
"""

from lake.assessment.agreement import MOST_DISAGREEING, Disagreement, disagreement
from lake.assessment.anomalies import find_anomalies
from lake.assessment.assessing import assess
from lake.assessment.scores import score_sessions

__all__ = [
    "MOST_DISAGREEING",
    "Disagreement",
    "assess",
    "disagreement",
    "find_anomalies",
    "score_sessions",
]
