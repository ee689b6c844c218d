"""What a search, and the choice of a seed, write into the trial ledger before anyone sees the loss."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.ledger import TrialLedger
from training.data import WindowSet
from training.experiments import Experiment
from training.fit.fit import fit_model
from training.fit.fitted import Fitted
from training.ledger import ModelTrials, model_families
from training.models import BASELINE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import optuna


CHOICE_OF_FIT = "choice of seed and epochs"


class ValidationTrials:
    """Trials of one model that are scored on the same validation windows.

    Parameters
    ----------
    kind
        One of `lake.tables.TRIAL_KINDS`.
    model, train, valid, experiment
        What is fitted, on what and how; naive is fitted on the same windows.
    settings
        What decides the score besides the parameters of the model.
    ledger
        Where they are recorded.
    """

    def __init__(
        self,
        kind: str,
        model: str,
        train: WindowSet,
        valid: WindowSet,
        experiment: Experiment,
        settings: Mapping[str, Any],
        ledger: TrialLedger,
    ) -> None:
        self._kind, self._model, self._settings = kind, model, settings
        self._train, self._valid, self._experiment = train, valid, experiment
        self._ledger = ledger

    def open_last_interval(self, reason: str) -> None:
        """Record a look at the last test interval, where the validation windows reach into it."""
        days = self._valid.keys.select(pl.col("event_time").min(), pl.col("event_time").max().alias("last")).row(0)
        if days[1].date() >= self._experiment.test_intervals[-1].first:
            families = model_families([self._model], self._valid.horizons, self._experiment.calendar)
            self._ledger.open_holdout(families, *days, who=CHOICE_OF_FIT, reason=reason)

    @contextmanager
    def failing(self, parameters: Mapping[str, Any], seed: int) -> Iterator[None]:
        """Record a failed trial where the block raises an error; a trial that is interrupted was not scored."""
        started = time.perf_counter()
        try:
            yield
        except Exception:
            trials = self._of(parameters, seed).unscored(is_failed=True, seconds=time.perf_counter() - started)
            self._ledger.record(trials)
            raise

    def fitted(self, fits: Sequence[Fitted], seconds: float = 0.0) -> None:
        """Record fits with what they gained on naive per session."""
        trials = [
            trial
            for fit in fits
            for trial in self._of(fit.parameters, fit.seed).scored(
                self._valid, fit.predict(self._valid.x), self._naive, score=fit.loss, seconds=seconds
            )
        ]
        self._ledger.record(trials)

    def taken_over(self, finished: "Sequence[optuna.trial.FrozenTrial]", seed: int) -> None:
        """Record finished trials that no ledger was there for: those of earlier versions, and of killed workers."""
        declared = self._experiment.parameters_of(self._model)
        self._ledger.record(
            [
                each
                for trial in finished
                for each in self._of(declared | trial.params, seed).unscored(is_failed=trial.state.name != "COMPLETE")
            ]
        )

    @cached_property
    def _naive(self) -> "npt.NDArray[np.float32]":
        return fit_model(BASELINE, self._train, self._valid, self._experiment).predict(self._valid.x)

    def _of(self, parameters: Mapping[str, Any], seed: int) -> ModelTrials:
        chosen = dict(parameters) | dict(self._settings)
        return ModelTrials(self._kind, self._model, chosen, self._valid.horizons, seed, self._experiment.calendar)
