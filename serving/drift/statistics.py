"""Test of whether a quantity moved since training; allows for the dependence of neighbouring sessions.

A two-sample test that takes sessions for independent calls nearly every slowly moving feature drifted. Here the present
is compared with how much stretches of the same length differed from one another *within* the training period.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

FloatArray = npt.NDArray[np.float64]

FEWEST_BLOCKS = 5
"""Blocks of the reference that an estimate of their spread needs."""
METHOD = "block means, Student's t; Holm"


class Shift(NamedTuple):
    """Distance of the present from the reference.

    Parameters
    ----------
    statistic
        Difference of means in units of its standard error; None where the reference never moved.
    p_value
        Two-sided.
    """

    statistic: float | None
    p_value: float


def session_scores(values: pl.DataFrame, is_reference: pl.Expr) -> pl.DataFrame:
    """Sum a quantity up per session, across symbols, after putting it on a normal scale.

    Each value becomes the normal score of its mid-rank among the reference's values, so that a few extreme values
    decide nothing and every quantity has the same unit: one deviation of the reference.

    Parameters
    ----------
    values
        ``symbol``, ``event_time``, ``value``; nulls are left out.
    is_reference
        Which rows belong to the reference.

    Returns
    -------
    pl.DataFrame
        ``event_time``, ``level`` (mean score across symbols), ``spread`` (mean absolute score), in order of time.
    """
    from scipy.special import ndtri

    known = values.drop_nulls("value")
    reference = np.sort(known.filter(is_reference)["value"].to_numpy())
    found = known["value"].to_numpy()
    below = np.searchsorted(reference, found, side="left") + np.searchsorted(reference, found, side="right")
    scores = pl.Series("score", ndtri((below / 2 + 0.5) / (len(reference) + 1)))
    return (
        known.with_columns(scores)
        .group_by("event_time")
        .agg(pl.col("score").mean().alias("level"), pl.col("score").abs().mean().alias("spread"))
        .sort("event_time")
    )


def known_shares(values: pl.DataFrame) -> pl.DataFrame:
    """Share of the symbols whose value is known, per session.

    A symbol counts from its first known value on: what a feature needs before it can be computed is not missing.

    Parameters
    ----------
    values
        ``symbol``, ``event_time``, ``value``; null is not known.

    Returns
    -------
    pl.DataFrame
        ``event_time``, ``known`` (0 to 1), in order of time.

    Examples
    --------
    >>> days = pl.date_range(pl.date(2012, 1, 3), pl.date(2012, 1, 5), eager=True)
    >>> values = pl.DataFrame({"symbol": ["A"] * 3, "event_time": days, "value": [None, 0.5, None]})
    >>> known_shares(values)["known"].to_list()
    [1.0, 0.0]
    """
    known = values.filter(pl.col("value").is_not_null())
    first = known.group_by("symbol").agg(pl.col("event_time").min().alias("first"))
    counted = values.join(first, on="symbol").filter(pl.col("event_time") >= pl.col("first"))
    by_session = counted.group_by("event_time").agg(pl.col("value").is_not_null().mean().alias("known"))
    return by_session.sort("event_time")


def compare_with_blocks(reference: FloatArray, current: FloatArray, block: int) -> Shift | None:
    """Compare the mean of the present with the means of blocks of the reference.

    With block means ``b_1..b_K`` the difference is judged as a prediction from them,
    ``t = (c - mean(b)) / sqrt(s^2 (q + 1 / K))`` with ``K - 1`` degrees of freedom: the method of batch means (Law,
    Simulation Modeling and Analysis, chapter 9) applied to a new batch. ``q`` is the variance of a mean over
    the present's length over that of a block mean, for a first-order autoregression with the reference's
    (bias-corrected) autocorrelation; it is 1 where both are of the same length. Sessions within a block may depend on
    one another in any way; blocks are taken for independent, so a block should be several times longer than the memory
    of the series.

    Parameters
    ----------
    reference, current
        One value per session, in order of time.
    block
        Sessions per block.

    Returns
    -------
    Shift | None
        None where nothing can be said: fewer than `FEWEST_BLOCKS` blocks, no present, or a quantity that never moved
        and still does not.
    """
    from scipy import stats

    count = len(reference) // block
    if count < FEWEST_BLOCKS or not len(current):
        return None
    means = reference[len(reference) - count * block :].reshape(count, block).mean(axis=1)
    difference = float(current.mean() - means.mean())
    deviation = float(means.std(ddof=1))
    if deviation <= 1e-12 * max(1.0, abs(float(means.mean()))):
        return None if abs(difference) <= 1e-12 * max(1.0, abs(float(means.mean()))) else Shift(None, 0.0)
    memory = _autocorrelation(reference)
    ratio = _variance_of_mean(len(current), memory) / _variance_of_mean(block, memory)
    statistic = difference / (deviation * np.sqrt(ratio + 1 / count))
    return Shift(statistic, float(2 * stats.t.sf(abs(statistic), count - 1)))


def adjust(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, so that the chance of any false alarm is kept (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    remaining = len(order) - np.arange(len(order))
    raised = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * remaining))
    adjusted = np.empty(len(order))
    adjusted[order] = raised
    return [float(value) for value in adjusted]


def _autocorrelation(series: FloatArray) -> float:
    """Lag-one autocorrelation with its small-sample bias ``-(1 + 3 r) / n`` taken out (Kendall 1954)."""
    centred = series - series.mean()
    found = float(centred[1:] @ centred[:-1] / (centred @ centred))
    return float(np.clip(found + (1 + 3 * found) / len(series), 0.0, 0.995))


def _variance_of_mean(count: int, memory: float) -> float:
    """Variance of the mean of `count` values of a first-order autoregression of unit variance."""
    lags = np.arange(1, count)
    return float((count + 2 * ((count - lags) * memory**lags).sum()) / count**2)
