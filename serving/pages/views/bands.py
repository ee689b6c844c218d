"""A forecast band and its badge: how often such bands held, with the number of outcomes it rests on.

A band is never made without its badge, so no page can show one without the other. Where too few answered forecasts have
an outcome, the badge tells what the blend would have held in the walk-forward, under words and a kind of its own.
"""

from dataclasses import dataclass, replace
from typing import Literal

from serving.api import BandRecord
from serving.pages import formats

LEAST_OUTCOMES = 30
REPLAYED = (
    "In replay: what the blend would have answered at each past close, with the weights and corrections that were "
    "known at it."
)


@dataclass(frozen=True)
class Badge:
    """How often the bands of such forecasts held the outcome.

    Parameters
    ----------
    words
        The share with its interval and its number, or that there are not enough outcomes.
    kind
        ``few`` outcomes, ``as_promised`` where the interval holds the target, else ``too_narrow`` or ``too_wide``;
        ``in_replay`` where the bands were replayed and not answered, whatever the share.
    title
        What the words rest on, where they do not rest on answered forecasts; else empty.
    """

    words: str
    kind: Literal["few", "as_promised", "too_narrow", "too_wide", "in_replay"]
    title: str = ""


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


def badge_of(record: BandRecord, in_replay: BandRecord | None = None) -> Badge:
    """Return the badge of a record.

    Parameters
    ----------
    in_replay
        Record of the blend's replayed bands: told where the answered forecasts have too few outcomes, and never added
        to them.

    Examples
    --------
    >>> told = {"outcomes": 12, "sessions": 12, "independent": 12, "target": 0.8, "low": None, "high": None}
    >>> badge_of(BandRecord(held=None, is_enough=False, sentence="", **told)).words
    'not enough outcomes (n = 12)'
    """
    if (badge := _judged(record, "held")) is not None:
        return badge
    if in_replay is not None and (badge := replay_badge(in_replay)).kind == "in_replay":
        why = f"Too few answered forecasts have an outcome yet ({record.outcomes:,})."
        return replace(badge, title=f"{why} {badge.title}")
    return _few(record)


def replay_badge(record: BandRecord) -> Badge:
    """Return the badge of replayed bands that stand by themselves, under a caption that says what they are."""
    badge = _judged(record, "in replay")
    return _few(record) if badge is None else replace(badge, kind="in_replay", title=REPLAYED)


def return_band(
    p10: float | None, p90: float | None, record: BandRecord, in_replay: BandRecord | None = None
) -> ShownBand | None:
    """Return the band of a return; None where there is no forecast."""
    if p10 is None or p90 is None:
        return None
    level, badge = formats.percent(record.target, 0), badge_of(record, in_replay)
    return ShownBand(formats.signed(p10), formats.signed(p90), level, badge)


def price_band(
    p10: float | None, p90: float | None, record: BandRecord, in_replay: BandRecord | None = None
) -> ShownBand | None:
    """Return the band of a price; None where no price is known."""
    if p10 is None or p90 is None:
        return None
    level, badge = formats.percent(record.target, 0), badge_of(record, in_replay)
    return ShownBand(formats.price(p10), formats.price(p90), level, badge)


def _few(record: BandRecord) -> Badge:
    return Badge(f"not enough outcomes (n = {record.outcomes:,})", "few")


def _judged(record: BandRecord, verb: str) -> Badge | None:
    """Return the badge of a record that tells a share; None where it rests on too few outcomes."""
    if record.held is None or record.low is None or record.high is None or record.outcomes < LEAST_OUTCOMES:
        return None
    interval = formats.interval(record.low, record.high)
    words = f"{verb} {formats.percent(record.held, 0)} ({interval}, n = {record.outcomes:,})"
    if record.high < record.target:
        return Badge(f"{words}, too narrow", "too_narrow")
    if record.low > record.target:
        return Badge(f"{words}, too wide", "too_wide")
    return Badge(words, "as_promised")
