"""Forecast metrics in NumPy only: the same functions score a walk-forward fold and live forecasts.

Everywhere, a pair of which one side is not known (NaN, or None in a list) is left out; when nothing is left the answer
is None, never zero. An infinite number is not "not known": it is refused.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lake.errors import ModelError
from training.data import quantile_losses

Numbers = npt.NDArray[np.float64]

SYMBOLS_PER_SESSION = 3
"""Fewest symbols among which a rank correlation says anything."""


ROUNDING = 1e-12
"""A standard error below this is the rounding of equal numbers, not a spread."""


class InformationCoefficient(NamedTuple):
    """Rank correlation of forecast and outcome across symbols, averaged over sessions.

    Parameters
    ----------
    mean
        Within -1..1; None when no session could be scored.
    t_value
        Mean over its standard error; None with fewer than two sessions, or when all sessions score alike.
    sessions
        How many sessions were scored.
    """

    mean: float | None
    t_value: float | None
    sessions: int


def mean_absolute_error(truth: npt.ArrayLike, forecast: npt.ArrayLike) -> float | None:
    """Return the mean of ``|truth - forecast|``, in the unit of both; None when no pair is known.

    Examples
    --------
    >>> mean_absolute_error([0.25, None, -0.5], [0.0, 0.1, 0.0])
    0.375
    """
    outcomes, forecasts = _known(truth, forecast)
    return _mean(np.abs(outcomes - forecasts))


def pinball_loss(truth: npt.ArrayLike, forecast: npt.ArrayLike, quantiles: tuple[float, ...]) -> float | None:
    """Return the mean pinball loss over rows and quantiles; None when no row is known in full.

    It is the mean of `training.data.quantile_losses` (Koenker and Bassett 1978).

    Parameters
    ----------
    truth
        `[row]`.
    forecast
        `[row, quantile]`, in the same unit; a row with one unknown quantile is left out whole.
    quantiles
        Levels within 0..1, in the order of the columns.

    Examples
    --------
    >>> pinball_loss([2.0], [[0.0, 1.0]], (0.25, 0.5))
    0.5
    """
    columns = np.asarray(forecast, dtype=np.float64).reshape(-1, len(quantiles))
    outcomes, *levels = _known(truth, *columns.T)
    return _mean(quantile_losses(outcomes, np.stack(levels, axis=1), quantiles))


def coverage(truth: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike) -> float | None:
    """Return the share of outcomes within lower..upper, both ends included; None when no triple is known.

    Examples
    --------
    >>> coverage([0.0, 1.0, 3.0, None], [-1, -1, -1, -1], [1, 1, 1, 1])
    0.6666666666666666
    """
    outcomes, lows, highs = _known(truth, lower, upper)
    return _mean((lows <= outcomes) & (outcomes <= highs))


def direction_hits(truth: npt.ArrayLike, forecast: npt.ArrayLike) -> Numbers:
    """Return 1 where the forecast had the sign of the outcome, 0 where not, NaN where it took no side, per row.

    A forecast of zero takes no side. An outcome of zero is a miss for one that did.

    Examples
    --------
    >>> direction_hits([0.1, -0.2, 0.3], [0.2, 0.1, 0.0])
    array([ 1.,  0., nan])
    """
    outcomes, forecasts = _columns(truth, forecast)
    hits = np.sign(outcomes) == np.sign(forecasts)
    return np.where(np.isnan(outcomes) | np.isnan(forecasts) | (forecasts == 0), np.nan, hits)


def hit_rate(truth: npt.ArrayLike, forecast: npt.ArrayLike) -> float | None:
    """Return the share of right directions among the forecasts that took a side; None when none did.

    Examples
    --------
    >>> hit_rate([0.1, -0.2, 0.3], [0.2, 0.1, 0.0])
    0.5
    """
    hits = direction_hits(truth, forecast)
    return _mean(hits[~np.isnan(hits)])


def information_coefficient(
    sessions: npt.ArrayLike, truth: npt.ArrayLike, forecast: npt.ArrayLike, *, overlap: int = 0
) -> InformationCoefficient:
    """Return Spearman's rank correlation across symbols per session, as its mean over sessions and that mean's t-value.

    Ties share their mean rank. A session with fewer than three known pairs, or whose forecasts or outcomes are
    all equal, has no rank correlation and is left out.

    Parameters
    ----------
    sessions
        `[row]`: anything that sorts in time, e.g. datetime64.
    truth, forecast
        `[row]`.
    overlap
        How many sessions to come share part of a session's outcome: horizon - 1 where every session is scored.
        Overlapping outcomes repeat each other, so the standard error is Newey and West's (1987) with that many lags.
        With 0 it is the ordinary one, standard deviation / sqrt(sessions).

    Examples
    --------
    >>> sessions, outcomes = [1, 1, 1, 2, 2, 2], [0.1, 0.2, 0.3, 0.3, 0.2, 0.1]
    >>> information_coefficient(sessions, outcomes, [1, 2, 3, 1, 2, 3])
    InformationCoefficient(mean=0.0, t_value=0.0, sessions=2)
    """
    outcomes, forecasts = _columns(truth, forecast)
    known = ~(np.isnan(outcomes) | np.isnan(forecasts))
    moments = np.asarray(sessions)[known]
    order = np.argsort(moments, kind="stable")
    starts = np.flatnonzero(np.r_[True, moments[order][1:] != moments[order][:-1]]) if len(order) else np.array([0])
    scores = [_rank_correlation(outcomes[known][rows], forecasts[known][rows]) for rows in np.split(order, starts[1:])]
    scored = np.array([score for score in scores if score is not None])
    return InformationCoefficient(_mean(scored), t_value(scored, overlap), len(scored))


def _rank_correlation(first: Numbers, second: Numbers) -> float | None:
    if len(first) < SYMBOLS_PER_SESSION:
        return None
    left, right = _centred_ranks(first), _centred_ranks(second)
    spread = float(left @ left) * float(right @ right)
    return float(left @ right) / spread**0.5 if spread > 0 else None


def _centred_ranks(values: Numbers) -> Numbers:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = last - (count - 1) / 2
    centred: Numbers = ranks[place] - (len(values) + 1) / 2
    return centred


def t_value(scores: Numbers, lags: int = 0) -> float | None:
    """Return the mean of scores in order of time over its `standard_error`; None where that is None or zero.

    Examples
    --------
    >>> round(t_value(np.array([1.0, 2.0, 3.0])), 3)
    3.464
    """
    error = standard_error(scores, lags)
    return float(scores.mean()) / error if error else None


def standard_error(scores: Numbers, lags: int = 0) -> float | None:
    """Return the standard error of the mean of scores in order of time; None below two scores, 0 without spread.

    With `lags` above 0 it is Newey and West's (1987), which allows for neighbours that repeat each other.

    Examples
    --------
    >>> round(standard_error(np.array([1.0, 2.0, 3.0])), 3)
    0.577
    """
    count = len(scores)
    if count < 2:  # noqa: PLR2004 - a spread needs two
        return None
    centred = scores - scores.mean()
    variance = float(centred @ centred)
    for lag in range(1, min(lags, count - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag])
    error = float((max(variance, 0.0) / (count - 1) / count) ** 0.5)
    return error if error > ROUNDING else 0.0


def _known(*columns: npt.ArrayLike) -> list[Numbers]:
    arrays = _columns(*columns)
    known = ~np.isnan(arrays).any(axis=0)
    return [array[known] for array in arrays]


def _columns(*columns: npt.ArrayLike) -> list[Numbers]:
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1:
        raise ModelError(
            f"Outcomes and forecasts of shapes {shapes} cannot be paired. Give one number of each per row."
        )
    if np.isinf(arrays).any():
        raise ModelError("A forecast or an outcome is infinite. Find the window it came from; write NaN for not known.")
    return arrays


def _mean(values: npt.NDArray) -> float | None:
    return float(values.mean()) if values.size else None
