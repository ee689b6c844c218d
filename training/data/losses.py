"""Losses of forecasts for windows, one by one and by session, and how far outcomes of neighbouring windows overlap."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.targets import QUANTILES
from lake.horizon_ends import bars_spanned
from training.data.dataset import WindowSet

Numbers = npt.NDArray[np.float64]


def quantile_losses(truth: Numbers, forecast: npt.NDArray[np.floating], quantiles: Sequence[float]) -> Numbers:
    """Return the pinball loss of each forecast, for level q and error e = truth - forecast: max(q e, (q - 1) e).

    Parameters
    ----------
    truth
        Of any shape.
    forecast
        Of that shape and a last axis more, the quantiles in the order of their levels.

    Examples
    --------
    >>> quantile_losses(np.array([2.0]), np.array([[0.0, 3.0]]), (0.25, 0.5))
    array([[0.5, 0.5]])
    """
    error, level = truth[..., None] - forecast, np.asarray(quantiles)
    losses: Numbers = np.maximum(level * error, (level - 1) * error)
    return losses


def losses_by_session(truth: WindowSet, quantiles: npt.NDArray[np.float32], number: int) -> pl.DataFrame:
    """Return the mean pinball loss of each session: its symbols, and seeds, move together and count once.

    Parameters
    ----------
    truth
        The windows that were forecast.
    quantiles
        ``[window, horizon, quantile]`` of their returns.
    number
        Place of the horizon.

    Returns
    -------
    pl.DataFrame
        ``event_time``, ``loss`` in order of time. An outcome that is not known judges nothing: a session without any is
        left out.
    """
    of_windows = quantile_losses(truth.y[:, number].astype(np.float64), quantiles[:, number], QUANTILES)
    losses = truth.keys.select("event_time").with_columns(pl.Series("loss", of_windows.mean(axis=1)))
    losses = losses.filter(pl.col("loss").is_not_nan())
    return losses.group_by("event_time").agg(pl.col("loss").mean()).sort("event_time")


def overlap_of(horizon: int, grid: str, stride_sessions: int) -> int:
    """Return with how many later test windows the outcome of one overlaps, at most.

    Examples
    --------
    >>> overlap_of(5, "XNYS", 1), overlap_of(5, "XNYS", 5), overlap_of(1_000, "24/7@60m", 1)
    (4, 0, 46)
    """
    return (bars_spanned(horizon, grid).most - 1) // stride_sessions
