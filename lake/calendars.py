"""Trading sessions and their closing instants, over exchange_calendars."""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import polars as pl

from lake.errors import ConfigError, UnknownNameError

VENUE = "XNYS"
FIRST_SESSION, LAST_SESSION = date(1998, 1, 1), date(2027, 12, 31)


@cache
def _calendar(venue: str) -> Any:
    import exchange_calendars

    if venue not in (names := exchange_calendars.get_calendar_names()):
        raise UnknownNameError("calendar", venue, names)
    start, end = FIRST_SESSION, LAST_SESSION
    try:
        return exchange_calendars.get_calendar(venue, start=start.isoformat(), end=end.isoformat())
    except ValueError:  # a venue whose holidays are not known so far back, or ahead
        known = exchange_calendars.get_calendar(venue)
    first, last = known.bound_min(), known.bound_max()
    start = start if first is None else max(start, first.date())
    end = end if last is None else min(end, last.date())
    return exchange_calendars.get_calendar(venue, start=start.isoformat(), end=end.isoformat())


def load(venue: str = VENUE) -> None:
    """Read a venue's calendar, which takes a second, and compute nothing of it: a process forked afterwards has it."""
    _calendar(venue)


@cache
def closes(venue: str = VENUE) -> pl.DataFrame:
    """Every session of a venue with its close.

    Returns
    -------
    pl.DataFrame
        ``session`` (date) and ``event_time`` (UTC instant of the close, early closes included), in order.

    Examples
    --------
    >>> from datetime import date
    >>> close_of(date(2012, 11, 23)).isoformat()  # the day after Thanksgiving closes early
    '2012-11-23T18:00:00+00:00'
    """
    series = _calendar(venue).closes
    return pl.DataFrame(
        {
            "session": [stamp.date() for stamp in series.index],
            "event_time": [stamp.to_pydatetime() for stamp in series],
        },
        schema={"session": pl.Date, "event_time": pl.Datetime("us", "UTC")},
    )


@cache
def planned_sessions(venue: str = VENUE) -> list[date]:
    """Dates on which a venue was to open by the calendar published beforehand, in order.

    These are its sessions and the days on which it unexpectedly stayed closed: nobody knew on 2012-10-26 that a
    hurricane would close New York on the 29th and 30th.
    """
    unforeseen = [stamp.date() for stamp in _calendar(venue).adhoc_holidays]
    between = [day for day in unforeseen if FIRST_SESSION <= day <= LAST_SESSION]
    return sorted({*closes(venue)["session"].to_list(), *between})


def session_closes(start: datetime, end: datetime, venue: str = VENUE) -> list[datetime]:
    """Closing instants in the half-open interval ``(start, end]``, in order."""
    every = _instants(venue)
    return every[bisect_right(every, start) : bisect_right(every, end)]


def last_close(at: datetime, venue: str = VENUE) -> datetime | None:
    """Return the newest closing instant at or before another; None where the calendar begins later.

    Examples
    --------
    >>> last_close(datetime(2012, 12, 30, 12, tzinfo=UTC)).isoformat()  # a Sunday
    '2012-12-28T21:00:00+00:00'
    """
    every = _instants(venue)
    place = bisect_right(every, at)
    return every[place - 1] if place else None


def count_closes(start: datetime, end: datetime, venue: str = VENUE) -> int:
    """Count the closing instants in the half-open interval ``(start, end]``, in a microsecond.

    Examples
    --------
    >>> friday, monday = datetime(2012, 12, 28, 21, tzinfo=UTC), datetime(2012, 12, 31, 21, tzinfo=UTC)
    >>> count_closes(friday, monday)
    1
    """
    return len(session_closes(start, end, venue))


@cache
def _instants(venue: str) -> list[datetime]:
    return closes(venue)["event_time"].to_list()


def next_closes(after: datetime, count: int, venue: str = VENUE) -> list[datetime]:
    """Return the next `count` closing instants strictly after an instant."""
    found = session_closes(after, after + timedelta(days=10 + 2 * count), venue)[:count]
    if len(found) < count:
        raise ConfigError(
            f"The calendar of {venue} ends on {LAST_SESSION}; {count} sessions after {after} are not in it."
        )
    return found


def session_after(close: datetime, sessions: int, venue: str = VENUE) -> date | None:
    """Return the date of the session that ends `sessions` closes after a close; None beyond the end of the calendar.

    It takes a microsecond, so that a request can ask.

    Examples
    --------
    >>> session_after(datetime(2012, 12, 31, 21, tzinfo=UTC), 1).isoformat()  # over New Year's Day
    '2013-01-02'
    """
    place = bisect_right(_instants(venue), close) + sessions - 1
    dates = _dates(venue)
    return dates[place] if place < len(dates) else None


@cache
def _dates(venue: str) -> list[date]:
    return closes(venue)["session"].to_list()


def close_of(session: date, venue: str = VENUE) -> datetime:
    """Closing instant of one session."""
    row = closes(venue).filter(pl.col("session") == session)
    if row.is_empty():
        raise ConfigError(f"{session} is no session of {venue}.")
    at: datetime = row["event_time"][0]
    return at.astimezone(UTC)
