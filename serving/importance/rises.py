"""By how much a loss rises over sessions, with the interval of its mean."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.judge import standard_error

FEWEST_SESSIONS = 20
"""Sessions of a regime below which no mean over them is given."""
NORMAL_95 = 1.959963984540054
"""Distance from the mean that a standard normal distribution exceeds with 5 % probability."""


class Rise(NamedTuple):
    """Mean rise of a loss over sessions, and the 95 % interval of that mean; fractions of the price."""

    mean: float
    low: float
    high: float


def rise_of(by_session: npt.NDArray[np.float64], overlapping: int) -> Rise:
    """Return the mean over sessions with its interval.

    The symbols of a session move together, so a session counts once. Its spread over sessions holds both what another
    random exchange and what other sessions would have shown.

    Parameters
    ----------
    by_session
        ``[session]``, at least two, in order of time.
    overlapping
        Sessions that share a stretch of their outcomes with one, itself included (Newey and West 1987).

    Examples
    --------
    >>> [round(number, 2) for number in rise_of(np.array([0.0, 1.0, 0.0, 1.0]), 1)]
    [0.5, -0.07, 1.07]
    """
    mean = float(by_session.mean())
    half = NORMAL_95 * (standard_error(by_session, overlapping - 1) or 0.0)
    return Rise(mean, mean - half, mean + half)


def mean_by_session(values: npt.NDArray[np.float64], session: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the mean over the windows of each session, in order of the sessions that there are.

    Examples
    --------
    >>> mean_by_session(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 7]))
    array([2., 5.])
    """
    _, place, count = np.unique(session, return_inverse=True, return_counts=True)
    means: npt.NDArray[np.float64] = np.bincount(place, values) / count
    return means
