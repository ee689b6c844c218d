"""The session that a page looks back to, and its neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import urlencode

SLIDER_SESSIONS = 250
"""Sessions on the slider; an earlier one is typed."""


@dataclass(frozen=True)
class AsOfChoice:
    """A past session, or live.

    Parameters
    ----------
    day
        Session that is looked back to; None for live.
    instant
        What is known at this instant is shown.
    earlier, later
        Sessions beside it; ``later`` is None where live comes next, ``earlier`` where there is none.
    sessions
        Sessions of the slider, the oldest first; the last one is shown live.
    """

    day: date | None
    instant: datetime
    earlier: date | None
    later: date | None
    sessions: tuple[date, ...]

    @property
    def is_live(self) -> bool:
        """Whether the page shows what is known now."""
        return self.day is None

    @property
    def position(self) -> int:
        """Place on the slider."""
        if self.day is None or not self.sessions:
            return max(len(self.sessions) - 1, 0)
        return max(sum(session <= self.day for session in self.sessions) - 1, 0)

    def query(self, day: date | None = None, **others: object) -> str:
        """Return a query string for a session, with what else is chosen; empty for live and nothing else.

        Examples
        --------
        >>> as_of_choice([date(2012, 12, 28)], None, datetime(2012, 12, 28)).query(date(2012, 12, 27), horizon=5)
        '?as_of=2012-12-27&horizon=5'
        """
        chosen = {"as_of": None if day is None else day.isoformat(), **others}
        told = {name: value for name, value in chosen.items() if value not in (None, "")}
        return f"?{urlencode(told)}" if told else ""

    def here(self, **others: object) -> str:
        """Return the query string of this very session."""
        return self.query(self.day, **others)


def as_of_choice(sessions: Sequence[date], asked: date | None, instant: datetime) -> AsOfChoice:
    """Return the choice among past sessions.

    Parameters
    ----------
    sessions
        Sessions that have closed, the oldest first.
    asked
        Day that was asked for; a day without a session stands for the last one before it, the last session for live.
    instant
        Which instant that is.

    Examples
    --------
    >>> sessions = [date(2012, 12, 27), date(2012, 12, 28), date(2012, 12, 31)]
    >>> found = as_of_choice(sessions, date(2012, 12, 30), datetime(2012, 12, 28, 21))
    >>> found.day, found.earlier, found.later
    (datetime.date(2012, 12, 28), datetime.date(2012, 12, 27), None)
    """
    before = sessions if asked is None else [session for session in sessions if session <= asked]
    is_live = asked is None or len(before) == len(sessions)
    place = len(before) - 1
    day = None if is_live else (before[-1] if before else asked)
    has_later = day is not None and place + 1 < len(sessions) - 1
    return AsOfChoice(
        day=day,
        instant=instant,
        earlier=sessions[place - 1] if place > 0 else None,
        later=sessions[place + 1] if has_later else None,
        sessions=tuple(sessions[-SLIDER_SESSIONS:]),
    )
