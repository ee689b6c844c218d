"""The smallest change of one feature that changes the action, among forecasts along the features' training ranges."""

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from serving.advice.advising import Action, Advice, Reason, advise
from serving.advice.reliability import bucket_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.advice.asked import AdviceQuestion
    from serving.advice.reliability import CallRecord
    from serving.api.explanations import FeatureSweep

UNMOVED: frozenset[Reason] = frozenset({"halted", "no_price", "stale", "uncalibrated", "above_limit"})
"""Reasons that no feature of the forecast changes."""
WHY_UNMOVED = "the action does not follow from the features, so no change of them was looked for"
"""Told where the rule that decided looks at no feature."""
WHY_NONE = "no value of these features within 1-99 % of training changes the action"


class Flip(NamedTuple):
    """A change of one feature, and what would be advised.

    Parameters
    ----------
    before
        Value in the last session; None where it is not known.
    """

    feature: str
    before: float | None
    after: float
    action: Action


def flip_because(advice: "Advice | None") -> str:
    """Return why no change is told: for advice that no feature changes, or, for None, where none was found.

    Returns
    -------
    str
        Empty where a change is worth looking for.
    """
    if advice is None:
        return WHY_NONE
    return WHY_UNMOVED if advice.reason in UNMOVED else ""


def smallest_flip(
    asked: "AdviceQuestion", sweeps: "Sequence[FeatureSweep]", records: "Sequence[CallRecord]"
) -> Flip | None:
    """Return the smallest change that changes the action; None where no value of the grids does.

    Every forecast of the grids is advised on as the true one was, with the same book and limits, and the record of
    calls with its own confidence. Changes of different features are compared by their share of the feature's range in
    training.

    Parameters
    ----------
    sweeps
        Forecasts at values of one feature each, the others held as they were.
    records
        By bucket, as `gathering.records_of` returns them.
    """
    action, nearest = advise(asked).action, None
    for sweep in sweeps:
        if sweep.value is None or sweep.high <= sweep.low:
            continue
        for point in sweep.points:
            moved = abs(point.to - sweep.value) / (sweep.high - sweep.low)
            if nearest is not None and moved >= nearest[0]:
                continue
            changed = replace(asked.forecast, p10=point.p10, p50=point.p50, p90=point.p90, confidence=point.confidence)
            other = advise(replace(asked, forecast=changed, record=records[bucket_of(point.confidence)])).action
            if other != action:
                nearest = moved, Flip(sweep.feature, sweep.value, point.to, other)
    return None if nearest is None else nearest[1]
