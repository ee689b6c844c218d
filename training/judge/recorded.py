"""What a walk-forward evaluation writes into the trial ledger: the look at the last interval, and every score."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from lake.ledger import ScoredTrial, TrialLedger
from training.data import Split, WindowSet
from training.experiments import Experiment
from training.judge.fold_forecasts import FoldForecast, join_folds, of_seeds
from training.ledger import ModelTrials, model_families
from training.models import BASELINE, card_of

WHO = "walk-forward evaluation"


def open_last_interval(windows: WindowSet, experiment: Experiment, split: Split, ledger: TrialLedger) -> None:
    """Write down that the last test interval is looked at, for every model and horizon that is judged on it."""
    judged = [model for model in experiment.models if model != BASELINE]
    families = model_families(judged, windows.horizons, experiment.calendar)
    first, last = (
        windows.keys[split.test].select(pl.col("event_time").min(), pl.col("event_time").max().alias("last")).row(0)
    )
    reason = f"models of the experiment {experiment.name} are judged on {split.name}"
    ledger.open_holdout(families, first, last, who=WHO, reason=reason)


def walk_forward_trials(
    forecasts: Sequence[FoldForecast], experiment: Experiment, parameters: Mapping[str, Mapping[str, Any]]
) -> list[ScoredTrial]:
    """Return a trial for each model, seed and horizon over all folds, with its gains on naive per session.

    Naive is what the others are measured by, and no trial.
    """
    naive = join_folds([one for one in forecasts if one.model == BASELINE])
    trials: list[ScoredTrial] = []
    for model in dict.fromkeys(one.model for one in forecasts if one.model != BASELINE):
        for folds in of_seeds([one for one in forecasts if one.model == model]):
            ours = join_folds(folds)
            chosen = ModelTrials(
                "walk_forward",
                model,
                _chosen(model, experiment, parameters),
                ours.truth.horizons,
                folds[0].seed,
                experiment.calendar,
                experiment.splits.test_stride_sessions,
            )
            seconds = sum(one.seconds for one in folds)
            trials += chosen.scored(ours.truth, ours.quantiles, naive.quantiles, seconds=seconds)
    return trials


def _chosen(model: str, experiment: Experiment, parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Everything that decides a model's forecasts besides data, code and seed."""
    own = dict(parameters.get(model) or experiment.parameters_of(model))
    own["splits"] = experiment.splits.model_dump(mode="json")
    if card_of(model).is_network:
        own["optimisation"] = experiment.optimisation.model_dump(mode="json")
    return own
