"""Look for parameters of a network with Optuna: poor trials are pruned, workers share a study, and none is lost."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from lake.errors import ModelError, UnknownNameError
from lake.ledger import TrialLedger
from training.data import WindowSet
from training.experiments import Experiment
from training.fit.fit import fit_model
from training.fit.recorded import ValidationTrials
from training.models import MODELS, Choice, Dimension, card_of
from training.tracking import Progress, no_progress

if TYPE_CHECKING:
    import optuna

    from training.fit.study import SharedStudy

CONSTANT = "constant"
"""Attribute of a trial whose forecasts do not vary; its value says how little."""
LOOK_SECONDS = 0.5
"""How often a worker with nothing left to do looks whether the others are done."""


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
        The last validation loss of every finished trial; that of the declared parameters comes first.
    constant
        Trials whose forecasts did not vary over the validation windows; none of them is the best.
    """

    parameters: dict[str, Any]
    loss: float
    first_loss: float
    trials: int
    pruned: int
    ran: int
    losses: list[float]
    constant: int = 0


def search_parameters(
    name: str,
    train: WindowSet,
    valid: WindowSet,
    experiment: Experiment,
    folder: Path,
    *,
    ledger: TrialLedger,
    progress: Progress = no_progress,
    **intervals: int,
) -> SearchResult:
    """Search the parameters of one network until its trials are used up, together with other workers on the folder.

    The first trial is the declared parameters, so the result is never worse than them on the validation windows, unless
    their forecasts do not vary: such a trial counts as pruned, whatever its loss. Where no trial's forecasts vary, the
    declared parameters are returned, and `constant` is the number of trials. Each
    trial draws from a seed of its own number, so a search by one worker that was cut off and taken up again goes on as
    if it had not been. Several workers may call it at once; each returns when all trials are finished, also those of
    workers that died, which it runs itself.

    Parameters
    ----------
    name
        A model whose card has a search space.
    train, valid
        Of the earliest split, so that nothing any fold is tested on takes part; trials learn from the newest
        `train_windows` only.
    folder
        Where the trials are kept.
    ledger
        Where each trial is recorded before its loss is told to the search: a complete one with its gains on naive per
        session of the validation, a pruned, refused or failed one without.
    intervals
        ``heartbeat_seconds`` and ``grace_seconds``, see `training.fit.study`.

    Raises
    ------
    UnknownNameError
        If the model has no parameters to search for.
    ModelError
        If no trial had a loss that is a number.
    """
    if not card_of(name).space:
        raise UnknownNameError(
            "model with a parameter search", name, [model for model, card in MODELS.items() if card.space]
        )
    shared = _shared_study(name, experiment, folder, intervals)
    learnt = train.newest(experiment.search.train_windows)
    trials = ValidationTrials("search", name, learnt, valid, experiment, _settings(experiment), ledger)
    objective = _objective(name, learnt, valid, experiment, trials)
    ran = 0

    def done(trial: "optuna.trial.FrozenTrial") -> None:
        nonlocal ran
        ran += 1
        worth = "pruned" if trial.state.name == "PRUNED" else f"validation loss {trial.value:.5f}"
        worth = trial.user_attrs.get(CONSTANT, worth)
        progress(f"{name} trial {trial.user_attrs['slot'] + 1} of {experiment.search.trials}: {worth}")

    with shared.joined():
        while len(shared.finished()) < shared.slots:
            if not shared.run_one(objective, done) and shared.others_run():
                Event().wait(LOOK_SECONDS)
    trials.taken_over(shared.finished(), experiment.seeds[0])
    return _result(name, shared, experiment, ran)


def _shared_study(name: str, experiment: Experiment, folder: Path, intervals: Mapping[str, int]) -> "SharedStudy":
    import optuna

    from training.fit.study import SharedStudy

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    plan, declared = experiment.search, experiment.parameters_of(name)
    return SharedStudy(
        name,
        folder,
        plan.trials,
        {dimension.name: declared[dimension.name] for dimension in experiment.space_of(name)},
        seed=experiment.seeds[0],
        startup_trials=plan.startup_trials,
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=min(plan.startup_trials, 2), n_warmup_steps=plan.prune_after_epochs - 1
        ),
        **intervals,
    )


def _settings(experiment: Experiment) -> dict[str, Any]:
    """What decides the loss of a trial besides its parameters."""
    of_search = experiment.search.model_dump(mode="json", include={"epochs", "train_windows"})
    return {"search": of_search, "optimisation": experiment.optimisation.model_dump(mode="json")}


def _objective(
    name: str, train: WindowSet, valid: WindowSet, experiment: Experiment, trials: ValidationTrials
) -> "Callable[[optuna.Trial], float]":
    import optuna

    plan = experiment.optimisation.model_copy(update={"epochs": experiment.search.epochs})
    seed = experiment.seeds[0]

    def objective(trial: "optuna.Trial") -> float:
        def watch(epoch: int, loss: float) -> None:
            # A loss that is no number would end the search, and the search taken up again would draw the same trial.
            if not math.isfinite(loss):
                raise optuna.TrialPruned
            trial.report(loss, epoch)
            if trial.user_attrs["slot"] and trial.should_prune():
                raise optuna.TrialPruned

        drawn = {dimension.name: _draw(trial, dimension) for dimension in experiment.space_of(name)}
        parameters = experiment.parameters_of(name) | drawn
        started = time.perf_counter()
        with trials.failing(parameters, seed):
            fitted = fit_model(name, train, valid, experiment, parameters, seed, optimisation=plan, watch=watch)
            variation = fitted.variation(valid.x)
            if variation.is_constant:
                trial.set_user_attr(CONSTANT, f"refused, its forecasts do not vary ({variation})")
                raise optuna.TrialPruned
        trials.fitted([fitted], time.perf_counter() - started)
        return fitted.loss

    return objective


def _draw(trial: "optuna.Trial", dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return trial.suggest_categorical(dimension.name, dimension.values)
    return trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.is_log)


def _result(name: str, shared: "SharedStudy", experiment: Experiment, ran: int) -> SearchResult:
    trials = shared.finished()
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    constant = sum(CONSTANT in trial.user_attrs for trial in trials)
    if not complete and not constant:
        raise ModelError(
            f"None of {len(trials)} trials of '{name}' had a validation loss that is a number. Lower "
            f"parameters.{name}.learning_rate in the experiment."
        )
    best = min(complete, key=lambda trial: trial.value, default=trials[0])
    return SearchResult(
        parameters=experiment.parameters_of(name) | best.params,
        loss=_last_loss(best),
        first_loss=_last_loss(trials[0]),
        trials=len(trials),
        pruned=len(trials) - len(complete),
        ran=ran,
        losses=[_last_loss(trial) for trial in trials],
        constant=constant,
    )


def _last_loss(trial: "optuna.trial.FrozenTrial") -> float:
    """Return the last validation loss that a trial reported, infinity where it never reported a number."""
    loss = trial.values[0] if trial.values else trial.intermediate_values.get(trial.last_step, math.inf)
    return float(loss)
