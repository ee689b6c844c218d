"""A forecast band and its badge: how often such bands held, with the number of outcomes it rests on.

A band is never made without its badge, so no page can show one without the other.
"""

from dataclasses import dataclass
from typing import Literal

from serving.api import BandRecord
from serving.pages import formats

LEAST_OUTCOMES = 30


@dataclass(frozen=True)
class Badge:
    """How often the bands of such forecasts held the outcome.

    Parameters
    ----------
    words
        The share with its interval and its number, or that there are not enough outcomes.
    kind
        ``few`` outcomes, ``as_promised`` where the interval holds the target, else ``too_narrow`` or ``too_wide``.
    """

    words: str
    kind: Literal["few", "as_promised", "too_narrow", "too_wide"]


@dataclass(frozen=True)
class ShownBand:
    """Both ends of a forecast band, and its badge.

    Parameters
    ----------
    low, high
        As they are printed.
    level
        Share that the band is to hold, as it is printed.
    """

    low: str
    high: str
    level: str
    badge: Badge


def badge_of(record: BandRecord) -> Badge:
    """Return the badge of a record.

    Examples
    --------
    >>> told = {"outcomes": 12, "sessions": 12, "independent": 12, "target": 0.8, "low": None, "high": None}
    >>> badge_of(BandRecord(held=None, is_enough=False, sentence="", **told)).words
    'not enough outcomes (n = 12)'
    """
    if record.held is None or record.low is None or record.high is None or record.outcomes < LEAST_OUTCOMES:
        return Badge(f"not enough outcomes (n = {record.outcomes:,})", "few")
    interval = formats.interval(record.low, record.high)
    words = f"held {formats.percent(record.held, 0)} ({interval}, n = {record.outcomes:,})"
    if record.high < record.target:
        return Badge(f"{words}, too narrow", "too_narrow")
    if record.low > record.target:
        return Badge(f"{words}, too wide", "too_wide")
    return Badge(words, "as_promised")


def return_band(p10: float | None, p90: float | None, record: BandRecord) -> ShownBand | None:
    """Return the band of a return; None where there is no forecast."""
    if p10 is None or p90 is None:
        return None
    return ShownBand(formats.signed(p10), formats.signed(p90), formats.percent(record.target, 0), badge_of(record))


def price_band(p10: float | None, p90: float | None, record: BandRecord) -> ShownBand | None:
    """Return the band of a price; None where no price is known."""
    if p10 is None or p90 is None:
        return None
    return ShownBand(formats.price(p10), formats.price(p90), formats.percent(record.target, 0), badge_of(record))
