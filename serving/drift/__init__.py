"""Drift of model inputs and outputs against training."""

from serving.drift.measure import update_drift

__all__ = [
    "report",
    "update_drift",
]
