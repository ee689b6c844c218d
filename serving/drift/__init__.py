"""Drift of model inputs and outputs against training.

- `statistics`, `measure`: distances by feature and block of sessions, and the table `drift`
- `report`: a page of Evidently
"""

from serving.drift.measure import update_drift

__all__ = [
    "report",
    "update_drift",
]
