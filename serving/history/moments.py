"""Instants and spans that a question names: a day stands for its session, with the delay of the market's decisions."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import polars as pl

from lake import calendars
from lake.clock import day_or_instant, require_utc
from lake.errors import ConfigError
from lake.market import Market


@dataclass(frozen=True)
class Span:
    """Event times from one instant to another, both included; open where one is None."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def holds(self) -> pl.Expr:
        """Whether a row's event time lies in the span."""
        held = pl.lit(value=True)
        if self.since is not None:
            held &= pl.col("event_time") >= self.since
        return held if self.until is None else held & (pl.col("event_time") <= self.until)


def read_moment(text: str) -> date:
    """Return the day, or the instant in UTC, that a text in ISO 8601 says.

    Raises
    ------
    ConfigError
        If the text is neither, an instant has no zone, or it lies before the first year in UTC.

    Examples
    --------
    >>> read_moment("2012-12-31"), read_moment("2012-12-31T16:00-05:00").isoformat()
    (datetime.date(2012, 12, 31), '2012-12-31T21:00:00+00:00')
    """
    found = day_or_instant(text)
    try:
        return require_utc(found) if isinstance(found, datetime) else found
    except OverflowError as error:
        raise ConfigError(f"'{text}' lies outside the years 1 to 9999 in UTC. Name a day of the market.") from error


def instant_as_of(market: Market, as_of: date | None, now: datetime) -> datetime:
    """Return the instant that an answer as of a moment is made for; never later than the market's now.

    Parameters
    ----------
    as_of
        A day: the close of its session, or of the last one before it, plus the market's decision delay, so that what
        was decided about the session is included. An instant with a zone: itself. None: now.

    Examples
    --------
    >>> now = datetime(2013, 1, 2, 21, tzinfo=UTC)
    >>> market = Market("desk", decision_delay=15)
    >>> instant_as_of(market, date(2012, 12, 30), now).isoformat()  # a Sunday
    '2012-12-28T21:15:00+00:00'
    >>> instant_as_of(market, date(2013, 1, 2), now) == now
    True
    """
    if as_of is None:
        return now
    if isinstance(as_of, datetime):
        return min(require_utc(as_of), now)
    close = _last_close(market, pl.col("session") <= as_of)
    decided = datetime.combine(as_of, time(tzinfo=UTC)) if close is None else close + market.decided_after
    return min(decided, now)


def span_between(market: Market, first: date | None, last: date | None) -> Span:
    """Return the event times from one moment to another, both included; a day stands for the bars of its session.

    Examples
    --------
    >>> found = span_between(Market("desk"), date(2012, 12, 31), date(2012, 12, 31))
    >>> found.since.isoformat(), found.until.isoformat()
    ('2012-12-28T21:00:00.000001+00:00', '2012-12-31T21:00:00+00:00')
    """
    return Span(_since(market, first), _until(market, last))


def _since(market: Market, first: date | None) -> datetime | None:
    if first is None or isinstance(first, datetime):
        return first
    before = _last_close(market, pl.col("session") < first)
    return None if before is None else before + datetime.resolution


def _until(market: Market, last: date | None) -> datetime | None:
    if last is None or isinstance(last, datetime):
        return last
    return _last_close(market, pl.col("session") <= last) or datetime.combine(last, time(tzinfo=UTC))


def _last_close(market: Market, is_meant: pl.Expr) -> datetime | None:
    """Last close among some sessions; None where there is none."""
    found: datetime | None = calendars.closes(market.grid).filter(is_meant)["event_time"].max()  # type: ignore[assignment]
    return found
