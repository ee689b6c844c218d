"""Which calendar explains the days of a file, and when each of its days closed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import polars as pl

from lake import calendars
from lake.errors import ConfigError

PREFERRED = "XNYS"
CANDIDATES = {
    PREFERRED: "America/New_York",
    "24/7": "UTC",
    "24/5": "UTC",
    "XLON": "Europe/London",
    "XTKS": "Asia/Tokyo",
    "XETR": "Europe/Berlin",
    "XPAR": "Europe/Paris",
    "XSWX": "Europe/Zurich",
    "XMIL": "Europe/Rome",
    "XMAD": "Europe/Madrid",
    "XSTO": "Europe/Stockholm",
    "XHKG": "Asia/Hong_Kong",
    "XSHG": "Asia/Shanghai",
    "XTSE": "America/Toronto",
    "XASX": "Australia/Sydney",
    "XBOM": "Asia/Kolkata",
    "BVMF": "America/Sao_Paulo",
    "XJSE": "Africa/Johannesburg",
    "XSES": "Asia/Singapore",
    "XTAI": "Asia/Taipei",
    "CMES": "America/Chicago",
}
"""Calendars that a file's days are compared with, and their time zones; any other calendar can be named."""
ALONE, PROOF_DAYS = (PREFERRED, "24/7"), 250
"""No other candidate has the same sessions as one of these over so many days: an exact fit ends the comparison."""
JUDGED = timedelta(days=1000)
"""Newest stretch of a file that calendars are compared over: three of each yearly holiday."""
NO_SESSION = "T23:59:59+00:00"
"""Time of a row on a day without a session: no session of any calendar closes in the last second of a day."""


@dataclass(frozen=True)
class CalendarFit:
    """How well the sessions of a calendar are the days of a file, over `JUDGED`."""

    calendar: str
    strange: int
    absent: int
    example: date | None

    @property
    def misses(self) -> int:
        """Days that are in one of the two only."""
        return self.strange + self.absent


def closes_of(calendar: str) -> pl.DataFrame:
    """Return `lake.calendars.closes` of a calendar.

    Raises
    ------
    ConfigError
        If the calendar does not reach over the days that the lake declares.
    """
    try:
        return calendars.closes(calendar)
    except ValueError as error:
        raise ConfigError(
            f"The calendar {calendar} cannot be used: {str(error).rstrip('.')}. Name another one."
        ) from error


def rank_calendars(days_in: Callable[[str], pl.Series]) -> list[CalendarFit]:
    """Return how well each candidate explains the days of a file, the best first; equals as in `CANDIDATES`.

    Parameters
    ----------
    days_in
        Gives the distinct dates of the file in a time zone; it matters where times carry an offset.

    Returns
    -------
    list[CalendarFit]
        The first alone where its fit proves that there can be no other.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import date
    >>> days = pl.date_range(date(2023, 6, 1), date(2024, 6, 30), eager=True)
    >>> rank_calendars(lambda zone: days)
    [CalendarFit(calendar='24/7', strange=0, absent=0, example=None)]
    """
    fits = []
    for name in CANDIDATES:
        days = days_in(zone_of(name)).to_list()
        last = max(days)
        own = {day for day in days if day >= last - JUDGED}
        sessions = _sessions(name, min(own), last)
        if sessions is None:
            continue
        fits.append(_fit(name, sessions, own))
        if name in ALONE and fits[-1].misses == 0 and len(own) >= PROOF_DAYS:
            return fits[-1:]
    if not fits:
        raise ConfigError("No calendar that is looked at reaches over the days of the file. Name one: calendar=24/7.")
    return sorted(fits, key=lambda fit: fit.misses)


def zone_of(name: str) -> str:
    """Return the time zone of a calendar, e.g. Asia/Tokyo.

    Examples
    --------
    >>> zone_of("XTKS"), zone_of("24/7")
    ('Asia/Tokyo', 'UTC')
    """
    if name in CANDIDATES:
        return CANDIDATES[name]
    import exchange_calendars

    return str(exchange_calendars.get_calendar(name, start="2020-01-01", end="2020-03-01").tz)


def _sessions(name: str, first: date, last: date) -> frozenset[date] | None:
    """Return sessions of a calendar between two days, both included; None where it does not reach so far."""
    found = _sessions_until(name, last.year)
    return None if found is None else frozenset(day for day in found if first <= day <= last)


@lru_cache(maxsize=64)
def _sessions_until(name: str, year: int) -> tuple[date, ...] | None:
    """Return sessions of a year and the three before it, which `JUDGED` does not leave; kept, being slow to make."""
    import exchange_calendars

    try:
        found = exchange_calendars.get_calendar(name, start=f"{year - 3}-01-01", end=f"{year}-12-31")
    except (ValueError, exchange_calendars.errors.NoSessionsError):
        return None
    return tuple(stamp.date() for stamp in found.sessions)


def _fit(name: str, sessions: frozenset[date], own: set[date]) -> CalendarFit:
    strange, absent = sorted(own - sessions), sorted(sessions - own)
    misses = strange or absent
    return CalendarFit(name, len(strange), len(absent), misses[-1] if misses else None)


def describe_fit(fits: Sequence[CalendarFit]) -> str:
    """Return a sentence of evidence for the first of the ranked calendars.

    Examples
    --------
    >>> describe_fit([CalendarFit("XNYS", 0, 0, None), CalendarFit("XTSE", 9, 8, None)])
    'the sessions of XNYS are the days of the file exactly; the next best, XTSE, misses 17'
    """
    best, *others = fits
    equals = [fit.calendar for fit in others if fit.misses == best.misses]
    if best.misses:
        text = f"{best.calendar} explains the days best, of the newest three years: days without a session "
        text += f"{best.strange}, sessions without a row {best.absent}, e.g. {best.example}"
    else:
        text = f"the sessions of {best.calendar} are the days of the file exactly"
    if equals:
        why = f", and {best.calendar} is taken by custom" if best.calendar == PREFERRED else ", the first is taken"
        return f"{text}; {', '.join(equals)} would do as well{why}"
    if not others:
        return f"{text}, and no other calendar has these"
    return f"{text}; the next best, {others[0].calendar}, misses {others[0].misses}"
