"""The outlook of a forecast: its direction in words, by how sure it is.

Answers, stored forecasts, stream messages and the terminal say it by this one function; it lies with the types, which
the client has too.
"""

from typing import Literal

Direction = Literal["up", "down", "flat"]
Outlook = Literal["no better than a coin", "slightly up", "slightly down", "up", "down", "flat"]

COIN = 0.52
"""Confidence below which a direction is no better than a coin: ten years of sessions, 2,500 forecasts, would not tell
such a share of right directions from one half, `0.5 + 1.96 * 0.5 / sqrt(2500)`."""
SLIGHT = 0.56
"""Confidence below which a direction is called slight: the same for one year, 252 forecasts."""
MEANING = (
    f"direction and confidence in words: no better than a coin below {COIN}, slightly up or down below {SLIGHT}, then "
    "up or down; flat where the median is zero"
)


def outlook_of(direction: Direction, confidence: float) -> Outlook:
    """Return a direction with its confidence in words; one that a coin has too is called that.

    Parameters
    ----------
    direction
        ``up``, ``down`` or ``flat``, the sign of the median.
    confidence
        Probability that the return has that sign, 0.5 to 1. The bounds `COIN` and `SLIGHT` belong to what lies above.

    Examples
    --------
    >>> outlook_of("down", 0.506), outlook_of("up", 0.54), outlook_of("up", 0.71), outlook_of("flat", 0.5)
    ('no better than a coin', 'slightly up', 'up', 'flat')
    """
    if direction == "flat":
        return "flat"
    if confidence < COIN:
        return "no better than a coin"
    if confidence < SLIGHT:
        return "slightly up" if direction == "up" else "slightly down"
    return direction
