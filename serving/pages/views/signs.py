"""Signs and skill: what a page says of a number beside printing it."""

from serving.api import SkillRecord
from serving.pages import formats


def sign_of(fraction: float | None, digits: int = 1) -> int:
    """Return -1, 0 or 1 by what is printed of a fraction in percent; 0 for what is not known or rounds to zero.

    Examples
    --------
    >>> sign_of(-0.2), sign_of(None), sign_of(0.0004), sign_of(0.0004, digits=2)
    (-1, 0, 0, 1)
    """
    printed = round(100 * (fraction or 0.0), digits)
    return (printed > 0) - (printed < 0)


def interval_and_remark(skill: SkillRecord) -> tuple[str, str]:
    """Return the interval of a skill as it is printed and the remark on it, each empty where there is none."""
    is_chance = skill.low is not None and skill.high is not None and skill.low <= 0 <= skill.high
    interval = f"{formats.signed(skill.low)} … {formats.signed(skill.high)}" if skill.is_enough else ""
    return interval, "chance alone could explain it" if is_chance and skill.skill else ""
