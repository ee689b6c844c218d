"""Trading sessions, the bars within them, and their closing instants, over exchange_calendars.

Bars lie on a **grid**, named by a calendar and, where bars are shorter than a session, an interval: ``XNYS``,
``24/7@15m``. What the functions here call a close is the end of a bar of the grid. Bars of minutes begin with the
session, and again after a break for lunch; the last one before a close or a break is shorter where the interval does
not divide the session: 15:30 to 16:00 is the last bar of ``XNYS@60m``.
"""

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.errors import ConfigError, UnknownNameError
from lake.horizons import DAY, MINUTES, SEPARATOR, horizon_of

VENUE = "XNYS"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS_HELD = 32
"""Years of bars of minutes that are held: the ends of a year's are computed when one of them is asked for."""
WHOLE_YEARS = 2
"""The first and the last year of a calendar may not be whole."""
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


def closes(venue: str = VENUE) -> pl.DataFrame:
    """Every session of a calendar, or of the one of a grid, with its close.

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
    return _closes(_parts(venue)[0])


@cache
def _closes(name: str) -> pl.DataFrame:
    series = _calendar(name).closes
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
    """Closing instants of bars in the half-open interval ``(start, end]``, in order.

    Parameters
    ----------
    venue
        Grid of the bars: the name of a calendar for daily ones, else as `lake.horizons.grid_name` gives it.

    Examples
    --------
    >>> first = datetime(2012, 11, 23, 17, 20, tzinfo=UTC)  # the day after Thanksgiving closes at 18:00
    >>> [f"{at:%d %H:%M}" for at in session_closes(first, datetime(2012, 11, 26, 15, tzinfo=UTC), "XNYS@15m")]
    ['23 17:30', '23 17:45', '23 18:00', '26 14:45', '26 15:00']
    """
    name, interval = _parts(venue)
    if interval == DAY:
        every = _instants(name)
        return every[bisect_right(every, start) : bisect_right(every, end)]
    found = _microseconds_between(start, end, name, interval)
    return [EPOCH + timedelta(microseconds=int(at)) for at in found]


def numbered_closes(first: object, last: object, venue: str = VENUE) -> pl.DataFrame:
    """Return the closes of bars from one instant to another, both included, with their places among each other.

    Parameters
    ----------
    first, last
        Instants, as the least and the greatest of a column are; of an empty one, None, and then there is no close.

    Returns
    -------
    pl.DataFrame
        ``event_time`` and ``place`` (from 0), in order.
    """
    is_any = isinstance(first, datetime) and isinstance(last, datetime)
    found = session_closes(first - timedelta(microseconds=1), last, venue) if is_any else []  # type: ignore[operator, arg-type]  # instants, as just asked
    numbered = pl.DataFrame({"event_time": found}, schema={"event_time": pl.Datetime("us", "UTC")})
    return numbered.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("place"))


def last_close(at: datetime, venue: str = VENUE) -> datetime | None:
    """Return the newest closing instant at or before another; None where the calendar begins later.

    Examples
    --------
    >>> last_close(datetime(2012, 12, 30, 12, tzinfo=UTC)).isoformat()  # a Sunday
    '2012-12-28T21:00:00+00:00'
    """
    name, interval = _parts(venue)
    if interval == DAY:
        every = _instants(name)
        place = bisect_right(every, at)
        return every[place - 1] if place else None
    return close_before(at + timedelta(microseconds=1), 1, venue)


def close_before(at: datetime, count: int, venue: str = VENUE) -> datetime | None:
    """Return the closing instant that lies so many closes before an instant; None where the calendar begins later.

    Examples
    --------
    >>> close_before(datetime(2012, 12, 31, 21, tzinfo=UTC), 2).isoformat()
    '2012-12-27T21:00:00+00:00'
    >>> close_before(datetime(2021, 12, 1, tzinfo=UTC), 4, "24/7@15m").isoformat()
    '2021-11-30T23:00:00+00:00'
    """
    name, interval = _parts(venue)
    if interval == DAY:
        every = _instants(name)
        place = bisect_left(every, at) - count
        return every[place] if place >= 0 else None
    wanted = count
    for year in range(at.year, _calendar(name).first_session.year - 1, -1):
        closes_of_year = _year_closes(name, interval, year)
        earlier = int(np.searchsorted(closes_of_year, _microseconds(at)))
        if earlier >= wanted:
            return EPOCH + timedelta(microseconds=int(closes_of_year[earlier - wanted]))
        wanted -= earlier
    return None


def count_closes(start: datetime, end: datetime, venue: str = VENUE) -> int:
    """Count the closing instants of bars in the half-open interval ``(start, end]``, in microseconds.

    Examples
    --------
    >>> friday, monday = datetime(2012, 12, 28, 21, tzinfo=UTC), datetime(2012, 12, 31, 21, tzinfo=UTC)
    >>> count_closes(friday, monday), count_closes(friday, monday, "XNYS@60m")
    (1, 7)
    """
    name, interval = _parts(venue)
    if interval == DAY:
        every = _instants(name)
        return max(0, bisect_right(every, end) - bisect_right(every, start))
    low, high = _microseconds(start), _microseconds(end)
    years = [_year_closes(name, interval, year) for year in range(start.year - 1, end.year + 1)]
    return sum(int(np.searchsorted(at, high, "right") - np.searchsorted(at, low, "right")) for at in years)


def next_closes(after: datetime, count: int, venue: str = VENUE) -> list[datetime]:
    """Return the next `count` closing instants of bars strictly after an instant."""
    name, interval = _parts(venue)
    found: list[datetime] = []
    if interval == DAY:
        found = session_closes(after, after + timedelta(days=10 + 2 * count), name)[:count]
    else:
        for year in range(after.year - 1, LAST_SESSION.year + 1):
            ends = _year_closes(name, interval, year)
            begin = int(np.searchsorted(ends, _microseconds(after), "right"))
            found += [EPOCH + timedelta(microseconds=int(at)) for at in ends[begin : begin + count - len(found)]]
    if len(found) < count:
        raise ConfigError(
            f"The calendar of {venue} ends on {LAST_SESSION}; {count} sessions after {after} are not in it."
        )
    return found


def is_close(at: pl.Series, venue: str = VENUE) -> pl.Series:
    """Return which instants are closes of bars; null for null.

    Examples
    --------
    >>> times = pl.Series([datetime(2021, 12, 1, 0, 15), datetime(2021, 12, 1, 0, 20)]).dt.replace_time_zone("UTC")
    >>> is_close(times, "24/7@15m").to_list()
    [True, False]
    """
    name, interval = _parts(venue)
    if interval == DAY:
        return at.is_in(closes(name)["event_time"].implode())
    known = at.drop_nulls()
    if known.is_empty():
        return pl.Series(at.name, [None] * len(at), dtype=pl.Boolean)
    low, high = known.min(), known.max()
    assert isinstance(low, datetime)
    assert isinstance(high, datetime)
    first, last = _calendar(name).first_session.year, _calendar(name).last_session.year
    start = max(low, datetime(first, 1, 1, tzinfo=UTC)) - timedelta(microseconds=1)
    ends = _microseconds_between(start, min(high, datetime(last + 1, 1, 2, tzinfo=UTC)), name, interval)
    return at.cast(pl.Datetime("us", "UTC")).to_physical().is_in(pl.Series(ends).implode())


def session_after(close: datetime, horizon: int, venue: str = VENUE) -> date | None:
    """Return the session in which a horizon that begins at a close ends; None beyond the end of the calendar.

    It takes a microsecond, so that a request can ask.

    Parameters
    ----------
    horizon
        As `lake.horizons.Horizon.bars` counts: bars, or of bars of minutes sessions.

    Examples
    --------
    >>> session_after(datetime(2012, 12, 31, 21, tzinfo=UTC), 1).isoformat()  # over New Year's Day
    '2013-01-02'
    >>> session_after(datetime(2012, 12, 31, 15, tzinfo=UTC), 1_000, "XNYS@15m").isoformat()  # one session
    '2013-01-02'
    """
    name, interval = _parts(venue)
    ahead = horizon_of(horizon, interval)
    if ahead.unit == "minute":
        try:
            return session_of(next_closes(close, horizon, venue)[-1], venue)
        except ConfigError:
            return None
    place = bisect_left(_instants(name), close) + ahead.n
    dates = _dates(name)
    return dates[place] if place < len(dates) else None


@cache
def bars_per_year(venue: str = VENUE) -> int:
    """Return how many bars a year has on a grid: sessions of the mean year, as many bars each as the longest has.

    Examples
    --------
    >>> bars_per_year(), bars_per_year("24/7"), bars_per_year("24/7@15m")
    (252, 365, 35040)
    """
    years = closes(venue).group_by(pl.col("session").dt.year()).len().sort("session")["len"]
    sessions = years[1:-1].mean() if len(years) > WHOLE_YEARS else years.max()
    assert isinstance(sessions, float | int)
    return round(sessions) * bars_of_session(venue)


@cache
def bars_of_session(venue: str = VENUE) -> int:
    """Return how many bars the longest session of a grid has.

    Examples
    --------
    >>> bars_of_session(), bars_of_session("XNYS@60m"), bars_of_session("24/7@15m"), bars_of_session("XTKS@60m")
    (1, 7, 96, 6)
    """
    name, interval = _parts(venue)
    if interval == DAY:
        return 1
    times = _calendar(name).schedule
    minutes = [
        (times[end] - times[begin]).dt.total_seconds() / 60
        for begin, end in (("open", "break_start"), ("break_end", "close"))
    ]
    whole = (times["close"] - times["open"]).dt.total_seconds() / 60
    # Each part that a break for lunch makes of a session begins with a bar of its own.
    with_break = sum(np.ceil(part / MINUTES[interval]) for part in minutes)
    return int(np.where(times["break_start"].isna(), np.ceil(whole / MINUTES[interval]), with_break).max())


@cache
def _dates(venue: str) -> list[date]:
    return closes(venue)["session"].to_list()


def close_of(session: date, venue: str = VENUE) -> datetime:
    """Closing instant of one session, which is that of its last bar."""
    name, _ = _parts(venue)
    row = closes(name).filter(pl.col("session") == session)
    if row.is_empty():
        raise ConfigError(f"{session} is no session of {name}.")
    at: datetime = row["event_time"][0]
    return at.astimezone(UTC)


def session_of(at: datetime, venue: str = VENUE) -> date:
    """Session that a bar belongs to, by its close.

    Examples
    --------
    >>> session_of(datetime(2021, 12, 1, tzinfo=UTC), "24/7@15m").isoformat()  # the last bar of a day ends at midnight
    '2021-11-30'
    """
    name, _ = _parts(venue)
    found: date = closes(name)["session"][bisect_left(_instants(name), at)]
    return found


def is_daily(venue: str) -> bool:
    """Whether the bars of a grid are whole sessions."""
    return _parts(venue)[1] == DAY


@cache
def _parts(venue: str) -> tuple[str, str]:
    """Calendar and interval of a grid."""
    name, _, interval = venue.partition(SEPARATOR)
    if interval and interval not in MINUTES:
        raise UnknownNameError("interval", interval, MINUTES)
    return name, interval or DAY


@cache
def _instants(venue: str) -> list[datetime]:
    return closes(venue)["event_time"].to_list()


@lru_cache(maxsize=YEARS_HELD)
def _year_closes(name: str, interval: str, year: int) -> npt.NDArray[np.int64]:
    """Ends of the bars of all sessions of a year, in microseconds since 1970; the last may lie in the next year."""
    calendar = _calendar(name)
    sessions = calendar.sessions[calendar.sessions.year == year]
    if not len(sessions):
        return np.zeros(0, np.int64)
    ends = calendar.trading_index(
        sessions[0],
        sessions[-1],
        f"{MINUTES[interval]}min",
        intervals=False,
        closed="right",
        force_close=True,
        force_break_close=True,
    )
    found: npt.NDArray[np.int64] = ends.as_unit("us").asi8
    return found


def _microseconds_between(start: datetime, end: datetime, name: str, interval: str) -> npt.NDArray[np.int64]:
    years = [_year_closes(name, interval, year) for year in range(start.year - 1, end.year + 1)]
    ends = np.concatenate([np.zeros(0, np.int64), *years])
    return ends[
        np.searchsorted(ends, _microseconds(start), "right") : np.searchsorted(ends, _microseconds(end), "right")
    ]


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
