"""Tracking: runs, parameters and scores in MLflow, and progress reports of a running training.

- `Tracker`, `Measure`, `MOST_KEYS`, `TRACKED`, `PURPOSE`: one run per model and training, and the numbers it holds
- `open_store`: a client of the tracking store
- `LearntTable`, `source_commit`: which data and which code a run comes from
- `finished_trials`, `TriedParameters`: what a parameter search tried
- `runs_page`: where the web UI shows an experiment
- `artifact_root`, `localize`: artefact addresses of a local store, kept below the home that it lies in
- `Progress`, `no_progress`: what progress is reported to, a sentence at a time
"""

from training.tracking.addresses import artifact_root, localize, runs_page
from training.tracking.progress import Progress, no_progress
from training.tracking.provenance import LearntTable, source_commit
from training.tracking.store import MOST_KEYS, PURPOSE, TRACKED, Measure, Tracker, open_store
from training.tracking.trials import TriedParameters, finished_trials

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "Tracker",
    "Measure",
    "MOST_KEYS",
    "TRACKED",
    "PURPOSE",
    "open_store",
    "LearntTable",
    "source_commit",
    "finished_trials",
    "TriedParameters",
    "runs_page",
    "artifact_root",
    "localize",
    "Progress",
    "no_progress",
]
