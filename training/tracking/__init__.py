"""Tracking: runs, parameters and scores in MLflow, and progress reports of a running training.

- `Tracker`, `Measure`, `MOST_KEYS`: one run per model and training, and the numbers it holds
- `open_store`: a client of the tracking store
- `artifact_root`, `localize`: artefact addresses of a local store, kept below the home that it lies in
- `Progress`, `no_progress`: what progress is reported to, a sentence at a time
"""

from training.tracking.addresses import artifact_root, localize
from training.tracking.progress import Progress, no_progress
from training.tracking.store import MOST_KEYS, Measure, Tracker, open_store

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "Tracker",
    "Measure",
    "MOST_KEYS",
    "open_store",
    "artifact_root",
    "localize",
    "Progress",
    "no_progress",
]
