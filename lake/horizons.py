"""How long a bar lasts and how far ahead is forecast: intervals, the grids that they make of a calendar, `Horizon`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from lake.errors import ConfigError

DAY: Literal["1d"] = "1d"
"""Interval of a bar that is a whole session."""
MINUTES = {"60m": 60, "15m": 15, "5m": 5, "1m": 1}
"""Length of each intraday interval."""
INTERVALS = (DAY, *MINUTES)
SEPARATOR = "@"
"""Between the calendar and the interval in the name of a grid of bars."""
MOST_BARS = 252
"""Longest horizon, in bars or in sessions."""
SESSION_OF_MINUTES = 1_000
"""What one session counts as in the column ``horizon_sessions`` of a market of minutes: 5,000 are five sessions there.
Its other horizons count bars, of which a session has no fixed number: half days have fewer."""
Interval = Literal["1d", "60m", "15m", "5m", "1m"]
Unit = Literal["session", "minute"]


@dataclass(frozen=True)
class Horizon:
    """A stretch of trading time that a forecast looks over.

    Parameters
    ----------
    n
        How many units, at least 1.
    unit
        ``session``, or ``minute`` in which the market is open: 60 minutes from half an hour before the close end half
        an hour after the next opening. A horizon of n sessions ends with the last bar of the n-th session after that of
        the bar it begins at, whichever bar of its session that is.

    Examples
    --------
    >>> Horizon.parse("60 minutes").bars("15m"), Horizon.parse("5 sessions").bars("1d")
    (4, 5)
    >>> Horizon.parse("5 sessions").bars("15m")
    5000
    >>> str(Horizon(1, "session"))
    '1 session'
    """

    n: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the horizon that a text names, e.g. ``5 sessions`` or ``60 minutes``.

        Raises
        ------
        ConfigError
            If it is no whole number of sessions or minutes.
        """
        number, _, unit = " ".join(str(text).split()).partition(" ")
        units: dict[str, Unit] = {"session": "session", "minute": "minute"}
        found = units.get(unit.removesuffix("s"))
        if found is None or not number.isascii() or not number.isdigit() or int(number) < 1:
            raise ConfigError(
                f"The horizon '{text}' is not understood. Say how many sessions or minutes, e.g. '5 sessions' or "
                "'60 minutes'."
            )
        return cls(int(number), found)

    def __str__(self) -> str:
        """Return it as it is written in a declaration."""
        return f"{self.n} {self.unit}{'' if self.n == 1 else 's'}"

    @property
    def member(self) -> str:
        """Name under which requests and answers have it, ``horizon_sessions`` or ``horizon_minutes``."""
        return f"horizon_{self.unit}s"

    def bars(self, interval: str) -> int:
        """Return its number in the column ``horizon_sessions``: how many bars of an interval it spans.

        A session has no fixed number of bars of minutes, and counts as `SESSION_OF_MINUTES` there.

        Raises
        ------
        ConfigError
            If it is no whole number of bars, or more than `MOST_BARS` of them, or sessions.
        """
        if self.unit == "minute":
            if interval == DAY:
                raise ConfigError(
                    f"The horizon '{self}' needs bars of minutes, and those of the market are daily. Declare a horizon "
                    "in sessions, or an interval of minutes."
                )
            count, rest = divmod(self.n, MINUTES[interval])
            if rest:
                raise ConfigError(
                    f"The horizon '{self}' is no whole number of bars of {interval}. Declare a multiple of "
                    f"{MINUTES[interval]} minutes."
                )
        else:
            count = self.n
        if count > MOST_BARS:
            what = f"bars of {interval}" if self.unit == "minute" else "sessions"
            raise ConfigError(
                f"The horizon '{self}' spans {count} {what}, {MOST_BARS} is the most. Declare a shorter horizon"
                f"{', one in sessions, or longer bars' if self.unit == 'minute' else ''}."
            )
        return count * SESSION_OF_MINUTES if self.unit == "session" and interval != DAY else count


def bars_of(horizons: Sequence[str], interval: str) -> tuple[int, ...]:
    """Return the number of each horizon of a market in the column ``horizon_sessions``, see `Horizon.bars`.

    Raises
    ------
    ConfigError
        If one does not fit the interval, none is a single bar, or they do not ascend, those in sessions after those in
        minutes.

    Examples
    --------
    >>> bars_of(("1 session", "20 sessions"), "1d"), bars_of(("15 minutes", "60 minutes", "1 session"), "15m")
    ((1, 20), (1, 4, 1000))
    """
    counts = tuple(Horizon.parse(text).bars(interval) for text in horizons)
    if not counts or counts[0] != 1 or list(counts) != sorted(set(counts)):
        raise ConfigError(
            f"The horizons are {', '.join(horizons) or 'none'}; expected ascending ones that begin with a single bar, "
            f"on which strategies are judged, those in sessions last: {', '.join(default_horizons(interval))}."
        )
    return counts


def interval_of(grid: str) -> str:
    """Return the interval of the bars of a grid.

    Examples
    --------
    >>> interval_of("XNYS"), interval_of("24/7@15m")
    ('1d', '15m')
    """
    return grid.partition(SEPARATOR)[2] or DAY


def horizon_of(bars: int, interval: str) -> Horizon:
    """Return the horizon of a number in the column ``horizon_sessions``: the inverse of `Horizon.bars`.

    Examples
    --------
    >>> str(horizon_of(4, "15m")), str(horizon_of(5_000, "15m")), str(horizon_of(1, "1d"))
    ('60 minutes', '5 sessions', '1 session')
    """
    if interval == DAY:
        return Horizon(bars, "session")
    sessions = bars // SESSION_OF_MINUTES
    return Horizon(sessions, "session") if sessions else Horizon(bars * MINUTES[interval], "minute")


def grid_name(calendar: str, interval: str) -> str:
    """Return what the grid of a calendar and an interval is called.

    Examples
    --------
    >>> grid_name("XNYS", "1d"), grid_name("24/7", "15m")
    ('XNYS', '24/7@15m')
    """
    return calendar if interval == DAY else f"{calendar}{SEPARATOR}{interval}"


def default_horizons(interval: str) -> tuple[str, ...]:
    """Return the horizons that are proposed for an interval: one bar, and five sessions or an hour.

    Examples
    --------
    >>> default_horizons("1d"), default_horizons("15m"), default_horizons("60m")
    (('1 session', '5 sessions'), ('15 minutes', '60 minutes'), ('60 minutes', '240 minutes'))
    """
    if interval == DAY:
        return "1 session", "5 sessions"
    own = MINUTES[interval]
    return str(Horizon(own, "minute")), str(Horizon(60 if own < 60 else 4 * own, "minute"))  # noqa: PLR2004 - an hour
