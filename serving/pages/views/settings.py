"""View models of the settings: the key that is logged in, the keys of the home, and the sessions of the key."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.pages import formats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from serving.access import Key
    from serving.pages.login import SessionAge

MINUTE, HOUR = 60.0, 3_600.0


@dataclass(frozen=True)
class KeyLine:
    """One API key that is in force; its text is not stored."""

    id: str
    name: str
    role: str
    tier: str
    created: str
    ends: str
    used: str
    is_own: bool


@dataclass(frozen=True)
class SessionLine:
    """One browser that is logged in with the key."""

    began: str
    used: str
    is_this: bool


def key_lines(
    keys: "Sequence[Key]", used: "Mapping[str, datetime]", own_id: str, now: "datetime"
) -> tuple[KeyLine, ...]:
    """Return the keys that are in force, one's own first."""
    lines = [
        KeyLine(
            id=key.id,
            name=key.name,
            role=key.role,
            tier=key.tier,
            created=formats.day(key.created_at),
            ends="never" if key.expires_at is None else formats.instant(key.expires_at),
            used=formats.instant(used.get(key.id)),
            is_own=key.id == own_id,
        )
        for key in keys
        if key.is_in_force(now)
    ]
    return tuple(sorted(lines, key=lambda line: not line.is_own))


def session_lines(sessions: "Sequence[SessionAge]") -> tuple[SessionLine, ...]:
    """Return the sessions of a key in their order."""
    return tuple(SessionLine(ago(each.began), ago(each.used), each.is_this) for each in sessions)


def ago(seconds: float) -> str:
    """Return a past duration for a reader, in the largest unit that it fills.

    Examples
    --------
    >>> ago(20.0), ago(61.0), ago(7_300.0)
    ('less than a minute ago', '1 minute ago', '2 hours ago')
    """
    if seconds < MINUTE:
        return "less than a minute ago"
    if seconds < HOUR:
        return f"{formats.count(int(seconds // MINUTE), 'minute')} ago"
    return f"{formats.count(int(seconds // HOUR), 'hour')} ago"
