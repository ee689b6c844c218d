"""The market's clock: one for the whole platform, injectable so that history can be replayed.

Two times are kept apart everywhere. `event_time` is when something was true (a bar is stamped when it closes);
`known_time` is when we could know it. Both are UTC instants.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Protocol

from lake.disk import write_durably
from lake.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

DEMO_START = datetime(2012, 12, 31, 21, 0, tzinfo=UTC)
"""Close of the last session of 2012: where the demo's market stands before it is advanced."""


class Clock(Protocol):
    """Anything that can say what time it is in the market."""

    def now(self) -> datetime:
        """Return the current instant, in UTC."""
        ...


class SystemClock:
    """The wall clock, for live sources and for how long things took."""

    def now(self) -> datetime:
        """Return the current instant, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class MinuteClock:
    """A clock that stands at the last full minute: what is the same at the same time can be kept meanwhile."""

    clock: Clock

    def now(self) -> datetime:
        """Return the last full minute of the clock; a close is a full minute."""
        return self.clock.now().replace(second=0, microsecond=0)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still, for tests and for looking back."""

    at: datetime

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return require_utc(self.at)


@dataclass(frozen=True)
class ReplayClock:
    """A market clock kept in a file, so that every process of the platform agrees on it.

    Parameters
    ----------
    path
        File that holds the instant.
    start
        In force while the file does not exist.
    """

    path: "Path"
    start: datetime = DEMO_START

    def now(self) -> datetime:
        """Return the instant the market stands at, in UTC."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return require_utc(self.start)
        try:
            return require_utc(datetime.fromisoformat(json.loads(content)["now"]))
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            raise ConfigError(
                f"The market clock {self.path} cannot be read: {str(error).rstrip('.')}. Write the instant the market "
                f'stands at, e.g. {{"now": "{self.start.isoformat()}"}}; `quantlake doctor` says which instant it is.'
            ) from error

    def move_to(self, at: datetime) -> None:
        """Set the market's now. Time only moves forward.

        Raises
        ------
        ConfigError
            If `at` lies before the present instant: what was known cannot be unlearned.
        """
        if require_utc(at) < self.now():
            raise ConfigError(
                f"The market stands at {self.now().isoformat()} and cannot go back to {at.isoformat()}. "
                "Start afresh with an empty QUANTLAKE_HOME."
            )
        write_durably(self.path, json.dumps({"now": at.astimezone(UTC).isoformat()}))


def require_utc(at: datetime) -> datetime:
    """Return `at` in UTC; a time without a zone is refused, never guessed."""
    if at.tzinfo is None:
        raise ConfigError(
            f"The time {at.isoformat()} has no zone. Say which one it is in, e.g. {at.isoformat()}+00:00."
        )
    return at.astimezone(UTC)


def instant_of(at: date | str, zone: tzinfo | None = None) -> datetime:
    """Return the instant that somebody means who writes a time or a day, in UTC.

    Parameters
    ----------
    at
        An instant with a zone, a day, or either as text in ISO 8601. A day is its last microsecond in UTC: what became
        known in the course of it, the close of its session included, was known then.
    zone
        Zone of a time of day that names none; without it such a time is refused.

    Raises
    ------
    ConfigError
        If the text is neither, or a time of day has no zone and none is given.

    Examples
    --------
    >>> instant_of("2010-01-04").isoformat()
    '2010-01-04T23:59:59.999999+00:00'
    >>> instant_of("2010-01-04T16:00-05:00") == instant_of(datetime(2010, 1, 4, 21, tzinfo=UTC))
    True
    >>> instant_of("2010-01-04T00:00", zone=UTC).isoformat()
    '2010-01-04T00:00:00+00:00'
    """
    found = day_or_instant(at) if isinstance(at, str) else at
    if isinstance(found, datetime):
        return require_utc(found.replace(tzinfo=zone) if zone and found.tzinfo is None else found)
    return datetime(found.year, found.month, found.day, tzinfo=UTC) + timedelta(days=1, microseconds=-1)


def day_or_instant(text: str) -> date:
    """Return the day or, with a zone or without, the instant that a text in ISO 8601 says.

    Raises
    ------
    ConfigError
        If the text is neither.

    Examples
    --------
    >>> day_or_instant("2010-01-04")
    datetime.date(2010, 1, 4)
    >>> day_or_instant("2010-01-04T21:00Z")
    datetime.datetime(2010, 1, 4, 21, 0, tzinfo=datetime.timezone.utc)
    """
    for read in (date.fromisoformat, datetime.fromisoformat):
        with suppress(ValueError):
            return read(text.strip())
    raise ConfigError(
        f"'{text}' is neither a day nor an instant. Write a day, e.g. 2010-01-04, or an instant with its zone, e.g. "
        "2010-01-04T21:00Z."
    )
