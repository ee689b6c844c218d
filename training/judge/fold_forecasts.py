"""Forecasts of one model for one test interval, and several of them as one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from training.data import WindowSet

OVERALL = "overall"
"""Name of the row that scores the forecasts of all folds together."""


@dataclass(frozen=True)
class FoldForecast:
    """Forecasts of one model for one test interval.

    Parameters
    ----------
    model, fold
        Whose, and of which interval.
    truth
        The windows it was asked about.
    quantiles
        float32 ``[window, horizon, quantile]``.
    seconds
        How long fitting took.
    seed
        What the model drew its random numbers from; None where nothing is drawn.
    """

    model: str
    fold: str
    truth: WindowSet
    quantiles: npt.NDArray[np.float32]
    seconds: float = 0.0
    seed: int | None = None

    @property
    def label(self) -> str:
        """Which fit it is, for a reader."""
        return f"{self.model} judged on {self.fold}" + ("" if self.seed is None else f", seed {self.seed}")


def of_seeds(forecasts: Sequence[FoldForecast]) -> list[list[FoldForecast]]:
    """Return the forecasts of one model by seed, in the order they came."""
    by_seed: dict[int | None, list[FoldForecast]] = {}
    for forecast in forecasts:
        by_seed.setdefault(forecast.seed, []).append(forecast)
    return list(by_seed.values())


def join_folds(forecasts: Sequence[FoldForecast]) -> FoldForecast:
    """Return the forecasts of one model for all its folds, or of all its seeds, as one; seeds repeat the windows."""
    parts = [forecast.truth for forecast in forecasts]
    truth = WindowSet(
        x=np.zeros((sum(map(len, parts)), 0, 0), np.float32),
        y=np.concatenate([part.y for part in parts]),
        keys=pl.concat([part.keys for part in parts]),
        horizons=parts[0].horizons,
    )
    return FoldForecast(
        forecasts[0].model, OVERALL, truth, np.concatenate([forecast.quantiles for forecast in forecasts])
    )
