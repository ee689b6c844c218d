"""Experiments: what a training run does, as frozen values; the YAML files beside this one are small differences.

- `Experiment`: everything that decides what a training run does, besides the data. Its parts: `SplitPlan`,
  `Optimisation`, `SearchPlan`; `TestInterval`: the days of one fold
- `list_experiments`, `load_experiment`, `parse_experiment`: the named ones, one of them, one from plain values
- `experiment_of`, `fit_to_bars`, `fit_to_history`: the one in force for a market, as it fits the length of its history
- `TrainingPlan`, `plan_training`: what a training would do and how long, before it does it
- `Workspace`, `content_fingerprint`, `code_fingerprint`: the folder that the products of one training lie in, and what
  names it
"""

from training.experiments.config import (
    Experiment,
    Optimisation,
    SearchPlan,
    SplitPlan,
    TestInterval,
    list_experiments,
    load_experiment,
    parse_experiment,
)
from training.experiments.fitting import experiment_of, fit_to_bars, fit_to_history
from training.experiments.plan import TrainingPlan, plan_training
from training.experiments.workspace import Workspace, code_fingerprint, content_fingerprint

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "Experiment",
    "SplitPlan",
    "TestInterval",
    "Optimisation",
    "SearchPlan",
    "list_experiments",
    "load_experiment",
    "parse_experiment",
    "experiment_of",
    "fit_to_bars",
    "fit_to_history",
    "TrainingPlan",
    "plan_training",
    "Workspace",
    "content_fingerprint",
    "code_fingerprint",
]
