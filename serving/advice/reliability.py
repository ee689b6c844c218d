"""Reliability of past calls: stated probability against how often it came true, in fixed buckets."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

EDGES = (0.50, 0.52, 0.54, 0.57, 0.60, 0.65, 0.70, 1.0)
"""Edges of the buckets of a stated probability; the last one holds 1."""
LEAST_OUTCOMES = 30
"""Fewest outcomes of which a share is told."""

Source = Literal["advice", "in_replay", "none"]


class CallBucket(NamedTuple):
    """Calls of one range of stated probability.

    Parameters
    ----------
    low, high
        The range; the upper end is outside, but for 1.
    outcomes
        Calls in it with an outcome.
    sessions
        Closes among them: calls of one close move together.
    said, came_true
        Mean stated probability, and share that came true; None below `LEAST_OUTCOMES`.
    """

    low: float
    high: float
    outcomes: int
    sessions: int
    said: float | None
    came_true: float | None

    @property
    def name(self) -> str:
        """The range in percent."""
        return f"{100 * self.low:.0f}-{100 * self.high:.0f} %"


class CallRecord(NamedTuple):
    """What came of earlier calls of the same stated probability.

    Parameters
    ----------
    source
        ``advice``: recommendations that were answered; ``in_replay``: what the blend would have said at the closes of
        the walk-forward, until enough recommendations have an outcome; ``none``: neither has an outcome.
    bucket
        The range that the asked probability lies in.
    interval
        90 % interval of the share that came true, by closes that do not overlap; None below `LEAST_OUTCOMES`.
    """

    source: Source
    bucket: CallBucket
    interval: tuple[float, float] | None

    @property
    def is_enough(self) -> bool:
        """Whether a share is told."""
        return self.interval is not None

    @property
    def is_proven(self) -> bool:
        """Whether calls of this probability came true more often than a coin, beyond chance at 90 %."""
        return self.interval is not None and self.interval[0] > EDGES[0]


def bucket_of(probability: float) -> int:
    """Return the place of the bucket of a stated probability.

    Examples
    --------
    >>> bucket_of(0.5), bucket_of(0.52), bucket_of(0.99), bucket_of(1.0)
    (0, 1, 6, 6)
    """
    return min(int(np.searchsorted(EDGES, probability, side="right")) - 1, len(EDGES) - 2)


def buckets_of(
    stated: "npt.NDArray[np.float64]", hits: "npt.NDArray[np.bool_]", sessions: "npt.NDArray[Any]"
) -> list[CallBucket]:
    """Sort calls into buckets.

    Parameters
    ----------
    stated
        Probability that was stated for each call ``[call]``, from 0.5 to 1.
    hits
        Whether each came true ``[call]``.
    sessions
        Close of each ``[call]``.

    Returns
    -------
    list
        One bucket for each range, empty ones included.
    """
    places = np.minimum(np.searchsorted(EDGES, stated, side="right") - 1, len(EDGES) - 2)
    found = []
    for place, (low, high) in enumerate(itertools.pairwise(EDGES)):
        mine = places == place
        count = int(mine.sum())
        is_enough = count >= LEAST_OUTCOMES
        said = float(stated[mine].mean()) if is_enough else None
        true = float(hits[mine].mean()) if is_enough else None
        found.append(CallBucket(low, high, count, len(np.unique(sessions[mine])), said, true))
    return found


def calibration_error(buckets: Sequence[CallBucket]) -> float | None:
    """Return the expected calibration error: mean distance of stated and true, weighted by outcomes; None without any.

    Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning".
    """
    told = [each for each in buckets if each.said is not None and each.came_true is not None]
    total = sum(each.outcomes for each in told)
    if not total:
        return None
    return sum(abs((each.said or 0.0) - (each.came_true or 0.0)) * each.outcomes for each in told) / total
