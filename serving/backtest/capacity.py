"""Capacity: how the net Sharpe ratio falls with the equity that is traded, and where it meets that of 1/N."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

EQUITY_FIGURES = Callable[[float], tuple[float | None, float | None]]
"""From equity to the net Sharpe ratios of the strategy and of 1/N."""


@dataclass(frozen=True)
class CapacityPoint:
    """Net Sharpe ratios per year at one size of equity, in the market's currency; None without a spread."""

    equity: float
    sharpe: float | None
    equal_weight_sharpe: float | None


@dataclass(frozen=True)
class CapacityCurve:
    """Net Sharpe ratios by size.

    Parameters
    ----------
    points
        In order of equity.
    crossing
        Equity at which the excess over 1/N is zero, by linear interpolation in its logarithm; None where the curve has
        no such point.
    remark
        What the curve says, in a sentence.
    """

    points: tuple[CapacityPoint, ...]
    crossing: float | None
    remark: str


def capacity_curve(sizes: Sequence[float], figures: EQUITY_FIGURES) -> CapacityCurve:
    """Return the curve over some sizes of equity.

    Examples
    --------
    >>> found = capacity_curve((1e5, 1e7), lambda equity: (1.0 if equity < 1e6 else 0.0, 0.5))
    >>> round(found.crossing), found.remark
    (1000000, 'Above an equity of 1,000,000 the strategy has no higher net Sharpe ratio than 1/N.')
    """
    points = tuple(CapacityPoint(equity, *figures(equity)) for equity in sorted(sizes))
    excess = [
        (point.equity, point.sharpe - point.equal_weight_sharpe)
        for point in points
        if point.sharpe is not None and point.equal_weight_sharpe is not None
    ]
    if not excess:
        return CapacityCurve(points, None, "There is no size at which both have a Sharpe ratio.")
    if excess[0][1] <= 0:
        return CapacityCurve(
            points, None, f"1/N has the higher net Sharpe ratio already at an equity of {excess[0][0]:,.0f}."
        )
    for (smaller, above), (larger, below) in pairwise(excess):
        if below <= 0:
            part = above / (above - below)
            crossing = math.exp(math.log(smaller) + part * (math.log(larger) - math.log(smaller)))
            remark = f"Above an equity of {crossing:,.0f} the strategy has no higher net Sharpe ratio than 1/N."
            return CapacityCurve(points, crossing, remark)
    return CapacityCurve(
        points,
        None,
        f"The strategy has the higher net Sharpe ratio up to an equity of {excess[-1][0]:,.0f}, the largest.",
    )
