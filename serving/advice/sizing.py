"""Size of a position: the least of a volatility target, half of Kelly, a loss budget at the stop, and a position limit.

Sources: Kelly (1956), "A new interpretation of information rate", Bell System Technical Journal 35; Thorp (2006), "The
Kelly criterion in blackjack, sports betting and the stock market", for the continuous form ``mu / sigma^2``.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

from serving.advice.limits import AdviceLimits
from serving.forecasts import TENTH

MOST_STOP_DISTANCE = 0.95
"""Farthest that a stop lies, as a fraction of the price: it stays a price."""
LEAST_STOP_DISTANCE = 0.001
"""Nearest: a stop within the costs of a trade is none."""
NORMAL = NormalDist()


class SizeBound(NamedTuple):
    """One bound of the size.

    Parameters
    ----------
    name
        Which.
    shares
        Largest position that it lets through.
    """

    name: str
    shares: float


def calibrated_median(p10: float, p50: float, p90: float, confidence: float) -> float:
    """Return the return at which the band has the confidence that earlier outcomes justify; never beyond the median.

    The stated probability ``P = Phi(1.2816 |p50| / side)`` is corrected to ``confidence`` by what came of earlier
    forecasts. Solved for the median: ``side / 1.2816 x Phi^-1(confidence)``, with ``side`` the part of the band between
    the median and the other sign. Where the correction trusts the forecast as it is, this is ``p50``; where the
    outcomes had nothing to do with the forecasts, it is 0.

    Examples
    --------
    >>> round(calibrated_median(-0.01, 0.01, 0.03, confidence=0.739), 4)
    0.01
    >>> calibrated_median(-0.01, 0.01, 0.03, confidence=0.5)
    0.0
    """
    side = p50 - p10 if p50 > 0 else p90 - p50
    if confidence >= 1.0 or side <= 0:
        return p50
    size = side / TENTH * NORMAL.inv_cdf(max(confidence, 0.5))
    return math.copysign(min(size, abs(p50)), p50) if p50 else 0.0


def deviation_of(p10: float, p90: float) -> float:
    """Return the standard deviation over the horizon that a band p10..p90 of a normal distribution has.

    Examples
    --------
    >>> round(deviation_of(-0.0128155, 0.0128155), 5)
    0.01
    """
    return (p90 - p10) / (2.0 * TENTH)


def whole_kelly(mean: float, deviation: float) -> float:
    """Return the share of the equity that grows fastest, ``mean / deviation^2``; 0 where there is no deviation.

    Examples
    --------
    >>> round(whole_kelly(0.01, 0.1), 9)
    1.0
    """
    return mean / deviation**2 if deviation > 0 else 0.0


def stop_distance(p10: float, p90: float, atr: float | None, limits: AdviceLimits, *, is_long: bool = True) -> float:
    """Return how far from the price the stop lies, as a fraction of it.

    It is the farther one of the adverse end of the band and a multiple of the average true range, so that neither the
    forecast's own uncertainty nor the usual range of a bar sets it off.

    Examples
    --------
    >>> from serving.advice.limits import limits_of
    >>> stop_distance(-0.03, 0.05, 0.01, limits_of("low")), stop_distance(-0.03, 0.05, 0.02, limits_of("low"))
    (0.03, 0.04)
    """
    adverse = -p10 if is_long else p90
    farther = max(adverse, limits.stop_atr_multiple * (atr or 0.0), LEAST_STOP_DISTANCE)
    return min(farther, MOST_STOP_DISTANCE)


def risk_bounds(
    equity: float, price: float, deviation_per_year: float, loss_per_share: float, limits: AdviceLimits
) -> list[SizeBound]:
    """Return the bounds of a position that hold whatever is expected of it, in shares.

    Parameters
    ----------
    deviation_per_year
        Standard deviation of a year's return, as a fraction.
    loss_per_share
        Loss of one share at the stop, costs included, in the currency of the price.
    """
    volatility = limits.annual_volatility_target * equity / (deviation_per_year * price) if deviation_per_year else 0.0
    return [
        SizeBound("volatility_target", volatility),
        SizeBound("stop_loss_budget", limits.stop_loss_budget * equity / loss_per_share),
        SizeBound("largest_position", limits.largest_position * equity / price),
    ]


def in_lots(shares: float, lot_shares: float) -> float:
    """Return a number of shares rounded down to whole lots.

    Examples
    --------
    >>> in_lots(257.9, 100), in_lots(0.4, 1)
    (200.0, 0.0)
    """
    return math.floor(shares / lot_shares + 1e-9) * float(lot_shares)
