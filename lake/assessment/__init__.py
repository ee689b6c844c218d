"""Data quality that can be looked at. Nothing here changes or refuses a row.

- `assess`: bring `findings` and `quality_scores` up to what the lake holds
- `find_anomalies`, `score_sessions`: the same as pure functions
- `report_quality`: all of it, and the quality page
- `summarise`, `write_page`: the state of a market's data as values, and as one HTML file
- `disagreement`: how often the sources of a market disagree, with the share from which on it is an alarm
"""

from lake.assessment.agreement import MOST_DISAGREEING, Disagreement, disagreement
from lake.assessment.anomalies import find_anomalies
from lake.assessment.assessing import assess
from lake.assessment.page import PAGE, report_quality, write_page
from lake.assessment.scores import score_sessions
from lake.assessment.summary import QualitySummary, summarise

__all__ = [
    "MOST_DISAGREEING",
    "PAGE",
    "Disagreement",
    "QualitySummary",
    "assess",
    "disagreement",
    "find_anomalies",
    "report_quality",
    "score_sessions",
    "summarise",
    "write_page",
]
