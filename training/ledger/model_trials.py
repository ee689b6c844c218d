"""One configuration of a model as trials of the ledger: each horizon asks a question of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.targets import FORECAST_V2
from lake.calendars import VENUE
from lake.horizons import horizon_of, interval_of
from lake.ledger import ScoredTrial, family_of
from training.data import WindowSet, losses_by_session, overlap_of

Quantiles = npt.NDArray[np.float32]


def model_families(models: Iterable[str], horizons: Iterable[int], grid: str = VENUE) -> list[str]:
    """Return the families of some models: one for each model and horizon.

    Parameters
    ----------
    horizons
        In bars.
    grid
        Of the bars, by which horizons are named.

    Examples
    --------
    >>> model_families(["ridge"], [1, 5])
    ['ridge, forecast_v2, 1 session', 'ridge, forecast_v2, 5 sessions']
    """
    named = [str(horizon_of(bars, interval_of(grid))) for bars in horizons]
    return [family_of(model, FORECAST_V2.name, horizon) for model in models for horizon in named]


@dataclass(frozen=True)
class ModelTrials:
    """One configuration of a model.

    Parameters
    ----------
    kind
        One of `lake.tables.TRIAL_KINDS`.
    model
        One of `training.models.MODELS`.
    parameters
        Everything that was chosen: those of the model and of its fit.
    horizons
        In bars, in the order of the forecasts.
    seed
        What random numbers were drawn from; None where none are.
    grid
        Of the bars, by which horizons are named.
    stride_sessions
        Every how many sessions a window ends.
    """

    kind: str
    model: str
    parameters: Mapping[str, Any]
    horizons: tuple[int, ...]
    seed: int | None = None
    grid: str = VENUE
    stride_sessions: int = 1

    @property
    def families(self) -> list[str]:
        """Families of its trials, in the order of the horizons."""
        return model_families([self.model], self.horizons, self.grid)

    def scored(
        self, truth: WindowSet, ours: Quantiles, naive: Quantiles, *, score: float | None = None, seconds: float = 0.0
    ) -> list[ScoredTrial]:
        """Return its trials with what they gained on naive in each session.

        Parameters
        ----------
        truth
            The windows that were forecast.
        ours, naive
            Quantiles ``[window, horizon, quantile]`` of the model and of naive.
        score
            Loss that the configuration is chosen by; the mean loss over the sessions of each horizon by default.
        """
        made = []
        for number, family in enumerate(self.families):
            losses = losses_by_session(truth, ours, number)
            gains = losses.join(
                losses_by_session(truth, naive, number).rename({"loss": "of_naive"}), on="event_time"
            ).select("event_time", (pl.col("of_naive") - pl.col("loss")).alias("gain"))
            reached = losses["loss"].mean() if score is None else score
            made.append(self._trial(number, family, score=reached, gains=gains, seconds=seconds))
        return made

    def unscored(self, *, is_failed: bool, seconds: float = 0.0) -> list[ScoredTrial]:
        """Return its trials without gains: pruned, refused or ended by an error, or of before gains were kept."""
        return [
            self._trial(number, family, is_failed=is_failed, seconds=seconds)
            for number, family in enumerate(self.families)
        ]

    def _trial(self, number: int, family: str, **outcome: Any) -> ScoredTrial:
        return ScoredTrial(
            family,
            self.kind,
            self.model,
            self.parameters,
            self.seed,
            horizon_sessions=overlap_of(self.horizons[number], self.grid, self.stride_sessions) + 1,
            **outcome,
        )
