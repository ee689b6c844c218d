"""The declaration of one market as a frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

import yaml

from lake.disk import write_durably
from lake.errors import ConfigError
from lake.horizons import DAY, Horizon, Interval, bars_of, default_horizons, grid_name, horizon_of
from lake.names import NameHistory, Rename

FILE = "market.yaml"
DEFAULT = "demo"
"""Name of the market that needs neither a choice nor a home of its own."""
CHOICE = "QUANTLAKE_MARKET"
"""Variable that chooses a market; `lake.settings` reads it."""
CODE, CAPITALS = 3, frozenset(ascii_uppercase)
"""Letters of a currency's code, how many and which."""
MOST_DELAY = 720
"""Most minutes from a close to its decisions: the next session of a venue with overnight pauses has not begun."""
ADDED = ("row_names",)
"""Keys that a declaration holds only where they differ from what they are by default."""
NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"


@dataclass(frozen=True)
class Market:
    """One market.

    Parameters
    ----------
    name
        What `QUANTLAKE_MARKET` calls it: lower-case letters, digits, ``-`` and ``_``.
    source
        Where its bars come from: a name in `lake.sources`, or ``module:name`` of a source of one's own.
    index
        Symbol that stands for the market as a whole: context for every feature, never forecast.
    calendar
        Its sessions: a calendar of exchange_calendars, e.g. ``XNYS`` or ``24/7``.
    clock
        `replay`: the market stands where its clock was moved to. `system`: its time is the wall clock's, unless
        it is being replayed.
    starts_at
        For a replayed market: the close it stands at before its clock is moved.
    first_year
        First calendar year it has bars of; partitions of tables begin there.
    last_day
        Last day its source will ever have; None where more days come.
    symbols
        Symbols that a reader is shown first; none means the first ones that are served.
    options
        What its source is told, e.g. how a price file is read.
    other_sources
        Names of further sources whose bars belong to it, in the order in which they stand in where `source`, or one
        named before, has no bar; those of any other source are of another market.
    other_options
        What each further source is told, by its name; where it is told nothing, the ``symbols`` that `source` is told.
    decision_delay
        Minutes after a close at which its forecasts are decided, from what is known by then.
    delisted_after
        Sessions without a bar after which a symbol counts as delisted: its paper positions are closed, and the universe
        has it no longer.
    renames
        Days on which an instrument began to trade under another name; what each is called today is its symbol.
    row_names
        Names in the rows of its source. `as_traded`: a row bears the name of its own day, so the rows of one instrument
        bear several. `today`: the whole history bears the present name.
    members
        Path of a CSV file with the columns ``symbol``, ``from`` and ``until``: who belongs to the market when. Relative
        to the home. None where the market is whatever has bars.
    interval, horizons
        How long a bar lasts, ``1d``, ``60m``, ``15m``, ``5m`` or ``1m``, and how far ahead is forecast, ascending, e.g.
        ``("1 session", "20 sessions")``; the first is one bar, on which strategies are judged.
    macro_source
        Source of economic series that is read with the bars; none by default.
    currency
        ISO 4217 code of what its prices are in, e.g. ``USD``; None where nobody said.
    timely_within
        Minutes after a close within which rows of a source count as in time in its quality score, by its name; those
        of a source that is not named have a day.
    """

    name: str
    source: str = "packaged"
    index: str = "^GSPC"
    calendar: str = "XNYS"
    clock: Literal["replay", "system"] = "system"
    starts_at: datetime | None = None
    first_year: int = 2000
    last_day: date | None = None
    symbols: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    other_sources: tuple[str, ...] = ()
    other_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decision_delay: int = 0
    delisted_after: int = 20
    renames: tuple[Rename, ...] = ()
    row_names: Literal["as_traded", "today"] = "as_traded"
    members: str | None = None
    interval: Interval = DAY
    horizons: tuple[str, ...] = default_horizons(DAY)
    macro_source: str | None = None
    currency: str | None = None
    timely_within: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or set(self.name) - set(NAME_CHARACTERS):
            raise ConfigError(
                f"A market cannot be called {self.name!r}. Use lower-case letters, digits, '-' and '_', e.g. 'desk'."
            )
        if self.clock == "replay" and self.starts_at is None:
            raise ConfigError(f"The market '{self.name}' is replayed, and starts_at does not say from where.")
        bars_of(self.horizons, self.interval)
        if not 0 <= self.decision_delay <= MOST_DELAY or self.delisted_after < 1:
            raise ConfigError(
                f"The market '{self.name}' has decision_delay {self.decision_delay} and delisted_after "
                f"{self.delisted_after}. Expected minutes from 0 to {MOST_DELAY}, before the next session, and "
                "at least 1 session."
            )
        if unknown := sorted({*self.other_options} - {*self.other_sources}):
            raise ConfigError(
                f"The market '{self.name}' tells {', '.join(unknown)} something in other_options, and other_sources "
                "does not name it."
            )
        if late := {
            n: m for n, m in self.timely_within.items() if m < 1 or n not in {self.source, *self.other_sources}
        }:
            raise ConfigError(
                f"The market '{self.name}' has timely_within of {late}. It names sources of the market, each with the "
                "minutes after a close within which its rows are in time, e.g. {yahoo: 120}."
            )
        NameHistory.of(self.renames)
        if self.currency is not None and not (len(self.currency) == CODE and CAPITALS.issuperset(self.currency)):
            raise ConfigError(
                f"The market '{self.name}' has the currency {self.currency!r}. Name it by its ISO 4217 code, three "
                "capital letters, e.g. USD, or leave it out where prices are no money."
            )

    @property
    def decided_after(self) -> timedelta:
        """Time from a close to the decisions that belong to it: the declared delay."""
        return timedelta(minutes=self.decision_delay)

    @property
    def first_run(self) -> str:
        """The command that makes everything of this market: what a message names where something was not made yet.

        Examples
        --------
        >>> Market("demo").first_run, Market("desk", source="file").first_run
        ('make demo', 'QUANTLAKE_MARKET=desk quantlake run')
        """
        return "make demo" if self.name == DEFAULT else self.command("run")

    @property
    def next_run(self) -> str:
        """The command that takes this market on: to its next session if it is replayed, else to what is new."""
        return self.command("advance" if self.clock == "replay" or self.name == DEFAULT else "run")

    def command(self, verb: str) -> str:
        """Return the command line of a verb of `quantlake` for this market: what a message names as the next step.

        Examples
        --------
        >>> Market("demo").command("update"), Market("desk").command("update")
        ('quantlake update', 'QUANTLAKE_MARKET=desk quantlake update')
        """
        return f"quantlake {verb}" if self.name == DEFAULT else f"{CHOICE}={self.name} quantlake {verb}"

    @property
    def names(self) -> NameHistory:
        """The names of its instruments over time."""
        return NameHistory.of(self.renames)

    def __hash__(self) -> int:
        return hash((self.name, self.source, self.index, self.calendar, self.interval, self.horizons))

    @property
    def grid(self) -> str:
        """Where the closes of its bars lie: what `lake.calendars` calls a venue, e.g. ``XNYS`` or ``24/7@15m``."""
        return grid_name(self.calendar, self.interval)

    @cached_property
    def horizon_bars(self) -> tuple[int, ...]:
        """How many bars each horizon spans, see `Horizon.bars`: what tables and models call ``horizon_sessions``."""
        return bars_of(self.horizons, self.interval)

    @cached_property
    def delisted_after_bars(self) -> int:
        """The bars of `delisted_after` sessions, each as long as the longest of the calendar.

        Examples
        --------
        >>> Market("desk").delisted_after_bars, Market("desk", calendar="24/7", interval="60m", horizons=("60 minutes",
        ... )).delisted_after_bars
        (20, 480)
        """
        from lake.calendars import bars_of_session  # which imports polars, and a declaration is read without

        return self.delisted_after * bars_of_session(self.grid)

    def horizon_of(self, bars: int) -> Horizon:
        """Return the horizon of a number in `horizon_bars`, in sessions or in minutes."""
        return horizon_of(bars, self.interval)

    def as_told_to(self, source: str) -> "Market":
        """Return the market as one of its further sources is opened for it: with that source and its options.

        The option ``index`` says which symbol of a source is the index, None that no source has it: an index that
        `source` makes of its symbols is asked of no other, and no other makes one under its name.

        Examples
        --------
        >>> market = Market("us", "polygon", options={"symbols": ["AAPL"]}, other_sources=("yahoo",))
        >>> market.as_told_to("yahoo").options
        {'index': '^GSPC', 'symbols': ['AAPL']}
        """
        inherited = {name: self.options[name] for name in ("symbols",) if name in self.options}
        is_made = self.source == "file" and "index" not in self.options
        return replace(
            self,
            source=source,
            options={"index": None if is_made else self.index, **self.other_options.get(source, inherited)},
            other_sources=(),
            other_options={},
        )

    def described(self) -> dict[str, Any]:
        """Return what is said of the market, by field, without what is empty or as it is by default."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        usual = {each.name: each.default for each in fields(self) if each.name in ADDED}
        return {
            name: _plain(value)
            for name, value in values.items()
            if value not in (None, (), {}) and value != usual.get(name)
        }

    def write(self, home: Path) -> Path:
        """Write the declaration into a home and return its path.

        Examples
        --------
        >>> import tempfile
        >>> home = Path(tempfile.mkdtemp())
        >>> path = Market("desk", source="file", calendar="XLON", first_year=2021).write(home)
        >>> path.name
        'market.yaml'
        """
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(home / FILE, yaml.safe_dump(self.described(), sort_keys=False, allow_unicode=True))
        return home / FILE


def _plain(value: Any) -> Any:
    """Return a value as YAML writes it."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Rename):
        return {name: said for name, said in vars(value).items() if said not in (None, "")}
    return dict(value) if isinstance(value, Mapping) else value
