"""Trials of a parameter search, read back from where Optuna keeps them, so that each can be shown."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TriedParameters:
    """One finished trial.

    Parameters
    ----------
    parameters
        What was tried, by name.
    losses
        Validation loss by epoch, or by whatever the trial reported; only numbers.
    state
        ``complete``, or ``pruned`` where it was not worth going on.
    """

    parameters: dict[str, Any]
    losses: dict[int, float]
    state: str


def finished_trials(study: str, database: Path) -> list[TriedParameters]:
    """Return the finished trials of a study, in the order in which they were drawn.

    Parameters
    ----------
    study
        Name of the study: the model.
    database
        File of Optuna's storage.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    found = optuna.load_study(study_name=study, storage=f"sqlite:///{database.absolute()}").get_trials(states=finished)
    return [
        TriedParameters(
            parameters=trial.params,
            losses={step: loss for step, loss in trial.intermediate_values.items() if math.isfinite(loss)},
            state=trial.state.name.lower(),
        )
        for trial in sorted(found, key=lambda trial: trial.user_attrs.get("slot", trial.number))
    ]
