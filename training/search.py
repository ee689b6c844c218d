"""Look for parameters of the networks with Optuna: poor trials are pruned, and a search cut off is taken up again."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import UnknownNameError
from training.config import Experiment, SearchPlan
from training.dataset import WindowSet
from training.fit import Say, fit_model, silent
from training.models import NEURAL_MODELS

if TYPE_CHECKING:
    from collections.abc import Callable

    import optuna

JOURNAL = "search.journal"
"""File that holds every trial: one line of JSON an event, only ever appended to."""


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    parameters
        Complete parameters of the best trial.
    loss, first_loss
        Validation loss (pinball, in units of sigma) of the best trial, and of the declared parameters it started from.
    trials, pruned, ran
        Finished trials in all, how many of them were pruned, and how many were run by this call.
    losses
        The last validation loss of every finished trial, in order.
    """

    parameters: dict[str, Any]
    loss: float
    first_loss: float
    trials: int
    pruned: int
    ran: int
    losses: list[float]


def search(
    name: str, train: WindowSet, valid: WindowSet, experiment: Experiment, folder: Path, *, say: Say = silent
) -> SearchResult:
    """Search the parameters of one network until its trials are used up.

    The first trial is the declared parameters, so the result is never worse than them on the validation windows. Each
    trial draws from a seed of its own number, so a search that was cut off and taken up again goes on as if it had
    not been.

    Parameters
    ----------
    name
        ``lstm`` or ``tft``.
    train, valid
        Of the earliest split, so that nothing any fold is tested on takes part; trials learn from the newest
        `train_windows` only.
    folder
        Where the trials are kept.

    Raises
    ------
    UnknownNameError
        If the model has no parameters to search for.
    """
    if name not in NEURAL_MODELS:
        raise UnknownNameError("model with a parameter search", name, NEURAL_MODELS)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _open(name, experiment, folder)
    short = train.newest(experiment.search.train_windows)
    before = len(_finished(study))
    for number in range(before, experiment.search.trials):
        study.sampler = optuna.samplers.TPESampler(
            seed=experiment.seeds[0] + number, n_startup_trials=experiment.search.startup_trials
        )
        study.optimize(_objective(name, short, valid, experiment), n_trials=1)
        last = study.trials[-1]
        worth = "pruned" if last.state == optuna.trial.TrialState.PRUNED else f"validation loss {last.value:.5f}"
        say(f"{name} trial {number + 1} of {experiment.search.trials}: {worth}")
    return _result(name, study, experiment, before)


def _open(name: str, experiment: Experiment, folder: Path) -> "optuna.Study":
    """Open the study, close trials that a killed run left open, and enqueue the declared parameters."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    folder.mkdir(parents=True, exist_ok=True)
    plan = experiment.search
    study = optuna.create_study(
        study_name=name,
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
        load_if_exists=True,
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=min(plan.startup_trials, 2), n_warmup_steps=plan.prune_after_epochs - 1
        ),
    )
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    if not study.get_trials(deepcopy=False, states=(*_finished_states(), optuna.trial.TrialState.WAITING)):
        declared = experiment.parameters_of(name)
        study.enqueue_trial({key: declared[key] for key in _space(experiment.search)})
    return study


def _objective(
    name: str, train: WindowSet, valid: WindowSet, experiment: Experiment
) -> "Callable[[optuna.Trial], float]":
    import optuna

    plan = experiment.optimisation.model_copy(update={"epochs": experiment.search.epochs})

    def objective(trial: "optuna.Trial") -> float:
        def watch(epoch: int, loss: float) -> None:
            # A loss that is no number would end the search, and the search taken up again would draw the same trial.
            if not math.isfinite(loss):
                raise optuna.TrialPruned
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        parameters = experiment.parameters_of(name) | {
            key: draw(trial) for key, draw in _space(experiment.search).items()
        }
        return min(fit_model(name, train, valid, experiment, parameters, optimisation=plan, watch=watch).history)

    return objective


def _space(plan: SearchPlan) -> "dict[str, Callable[[optuna.Trial], Any]]":
    """What is searched in both networks; step size and decay over orders of magnitude."""
    return {
        "hidden": lambda trial: trial.suggest_categorical("hidden", plan.hidden),
        "dropout": lambda trial: trial.suggest_float("dropout", 0.0, 0.4),
        "learning_rate": lambda trial: trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
        "weight_decay": lambda trial: trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
    }


def _finished_states() -> "tuple[optuna.trial.TrialState, ...]":
    import optuna

    return optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED


def _finished(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    trials: list[optuna.trial.FrozenTrial] = study.get_trials(deepcopy=False, states=_finished_states())
    return trials


def _result(name: str, study: "optuna.Study", experiment: Experiment, before: int) -> SearchResult:
    import optuna

    trials = _finished(study)
    first = next(trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE)
    return SearchResult(
        parameters=experiment.parameters_of(name) | study.best_params,
        loss=study.best_value,
        first_loss=first.values[0],
        trials=len(trials),
        pruned=sum(trial.state == optuna.trial.TrialState.PRUNED for trial in trials),
        ran=len(trials) - before,
        losses=[_last_loss(trial) for trial in trials],
    )


def _last_loss(trial: "optuna.trial.FrozenTrial") -> float:
    """Return the last validation loss a trial told, infinity where it never told a number."""
    told = trial.values[0] if trial.values else trial.intermediate_values.get(trial.last_step, math.inf)
    return float(told)
