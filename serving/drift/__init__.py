"""Drift of model inputs and outputs against training.

- `statistics`, `measure`: distances by feature and block of sessions, and the table `drift`
- `report`: a page of Evidently
"""

from serving.drift.measure import BLOCK_SESSIONS, CURRENT_SESSIONS, DriftSubject, judge, update_drift
from serving.drift.statistics import adjust, compare_with_blocks

__all__ = [
    "BLOCK_SESSIONS",
    "CURRENT_SESSIONS",
    "DriftSubject",
    "adjust",
    "compare_with_blocks",
    "judge",
    "report",
    "update_drift",
]
