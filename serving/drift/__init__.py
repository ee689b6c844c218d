"""Drift of model inputs and outputs against training.

- `statistics`, `measure`: distances by feature and block of sessions, and the table `drift`
- `newest_figures`, `write_page`: the newest findings, and Evidently's page of them, made on demand
"""

from serving.drift.measure import BLOCK_SESSIONS, CURRENT_SESSIONS, DriftSubject, judge, update_drift
from serving.drift.page import DriftFigures, newest_figures, write_page
from serving.drift.statistics import adjust, compare_with_blocks

__all__ = [
    "BLOCK_SESSIONS",
    "CURRENT_SESSIONS",
    "DriftFigures",
    "DriftSubject",
    "adjust",
    "compare_with_blocks",
    "judge",
    "newest_figures",
    "update_drift",
    "write_page",
]
