"""Markets: what is true of one market and of no other, as a value that lies in the market's home.

The packaged market `DEMO` needs no file. Every other home holds ``market.yaml``, so that whatever opens the home, moved
or copied, from whichever process, reads and writes that market and no other; the home of another packaged market gets
its file with its first run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from string import ascii_uppercase
from types import MappingProxyType
from typing import Any, Literal

import yaml

from lake.clock import DEMO_START, Clock, ReplayClock, SystemClock, require_utc
from lake.declaration import read_declaration
from lake.disk import write_durably
from lake.errors import ConfigError
from lake.horizons import DAY, Horizon, Interval, bars_of, default_horizons, grid_name, horizon_of
from lake.names import NameHistory, Rename
from lake.packaged_files import BITCOIN

FILE = "market.yaml"
CLOCK_FILE = "clock.json"
CHOICE = "QUANTLAKE_MARKET"
"""Variable that chooses a market; `lake.settings` reads it."""
FOLDER = "markets"
"""Folder below QUANTLAKE_HOME with a home for each market but the packaged default."""
CODE, CAPITALS = 3, frozenset(ascii_uppercase)
"""Letters of a currency's code, how many and which."""
MOST_DELAY = 720
"""Most minutes from a close to its decisions: the next session of a venue with overnight pauses has not begun."""
ADDED = ("row_names", "coverage_sessions")
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
        Sessions without a bar after which a symbol counts as delisted, and its paper positions are closed.
    renames
        Days on which an instrument began to trade under another name; what each is called today is its symbol.
    row_names
        Names in the rows of its source. `as_traded`: a row bears the name of its own day, so the rows of one instrument
        bear several. `today`: the whole history bears the present name.
    members
        Path of a CSV file with the columns ``symbol``, ``from`` and ``until``: who belongs to the market when. Relative
        to the home. None where the market is whatever has bars.
    coverage_sessions
        Sessions without a bar after which the coverage of a symbol has ended.
    interval, horizons
        How long a bar lasts, ``1d``, ``60m``, ``15m``, ``5m`` or ``1m``, and how far ahead is forecast, ascending, e.g.
        ``("1 session", "20 sessions")``; the first is one bar, on which strategies are judged.
    macro_source
        Source of economic series that is read with the bars; none by default.
    currency
        ISO 4217 code of what its prices are in, e.g. ``USD``; None where nobody said.
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
    coverage_sessions: int = 10
    interval: Interval = DAY
    horizons: tuple[str, ...] = default_horizons(DAY)
    macro_source: str | None = None
    currency: str | None = None

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
        if self.coverage_sessions < 1:
            raise ConfigError(f"coverage_sessions of the market '{self.name}' is {self.coverage_sessions}; 1 at least.")
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
        >>> DEMO.first_run, Market("desk", source="file").first_run
        ('make demo', 'QUANTLAKE_MARKET=desk quantlake run')
        """
        return "make demo" if self.name == DEMO.name else f"{self._chosen}quantlake run"

    @property
    def next_run(self) -> str:
        """The command that takes this market on: to its next session if it is replayed, else to what is new."""
        if self.name == DEMO.name:
            return "quantlake advance"
        return f"{self._chosen}quantlake {'advance' if self.clock == 'replay' else 'run'}"

    @property
    def _chosen(self) -> str:
        return f"{CHOICE}={self.name} "

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
        """How many bars each horizon spans: what tables, models and answers call ``horizon_sessions``."""
        return bars_of(self.horizons, self.interval)

    def horizon_of(self, bars: int) -> Horizon:
        """Return the horizon of so many bars in sessions, or in minutes where a bar is shorter than a session."""
        return horizon_of(bars, self.interval)

    def as_told_to(self, source: str) -> "Market":
        """Return the market as one of its further sources is opened for it: with that source and its options.

        Examples
        --------
        >>> market = Market("us", "polygon", options={"symbols": ["AAPL"]}, other_sources=("yahoo",))
        >>> market.as_told_to("yahoo").options
        {'symbols': ['AAPL']}
        """
        inherited = {name: self.options[name] for name in ("symbols",) if name in self.options}
        return replace(
            self,
            source=source,
            options=self.other_options.get(source, inherited),
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
        >>> market_of(home).calendar
        'XLON'
        """
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(home / FILE, yaml.safe_dump(self.described(), sort_keys=False, allow_unicode=True))
        return home / FILE


FACEBOOK = Rename("FB", "META", date(2022, 6, 9), reason="Facebook became Meta Platforms", listed=date(2012, 5, 18))
DEMO = Market(
    "demo",
    clock="replay",
    starts_at=DEMO_START,
    last_day=date(2013, 3, 1),
    symbols=("AAPL", "IBM", "XOM"),
    renames=(
        FACEBOOK,
        Rename(
            "GOOG",
            "GOOGL",
            date(2014, 4, 3),
            symbol="GOOG",
            reason="class A; the name went to the new class C",
            listed=date(2004, 8, 19),
        ),
    ),
    row_names="today",
    macro_source="packaged-macro",
    currency="USD",
)
"""The packaged market: 25 symbols and the S&P 500, 2000-03-01 to 2013-03-01, standing at the last close of 2012."""
LONG = Market(
    "long",
    source="packaged-long",
    clock="replay",
    starts_at=datetime(2021, 12, 31, 21, tzinfo=UTC),
    last_day=date(2022, 12, 28),
    symbols=("AAPL", "JPM", "XOM"),
    renames=(FACEBOOK,),
    row_names="today",
    macro_source="packaged-macro",
    currency="USD",
)
"""The packaged market with the longest history: 26 symbols and the S&P 500, standing at the last close of 2021."""
WIDE = Market(
    "wide",
    source="packaged-wide",
    clock="replay",
    starts_at=datetime(2010, 6, 30, 20, tzinfo=UTC),
    first_year=2008,
    last_day=date(2010, 8, 20),
    symbols=("AAPL", "JPM", "XOM"),
    row_names="today",
    macro_source="packaged-macro",
    currency="USD",
)
"""The packaged market with the most symbols: 524 over one year, standing at the close of June 2010."""
BTC = Market(
    "btc",
    source="file",
    index="^EQUAL_WEIGHT",
    calendar="24/7",
    clock="replay",
    starts_at=datetime(2021, 12, 28, tzinfo=UTC),
    first_year=2021,
    last_day=date(2021, 12, 28),
    options=BITCOIN,
    interval="15m",
    horizons=("15 minutes", "60 minutes"),
)
PACKAGED: Mapping[str, Market] = MappingProxyType({each.name: each for each in (DEMO, LONG, WIDE, BTC)})
"""Markets that are declared here, by name; each but `DEMO` has a home of its own below `FOLDER`."""


def market_of(home: Path) -> Market:
    """Return the market that a home belongs to: what its ``market.yaml`` declares.

    Where there is none it is the packaged market whose home this is by its place below `FOLDER`, or else `DEMO`.

    Raises
    ------
    ConfigError
        If the file cannot be read, or says something that is no part of a market.

    Examples
    --------
    >>> market_of(Path("no/such/home")).name, market_of(Path("no/such/home/markets/long")).name
    ('demo', 'long')
    """
    path = home / FILE
    try:
        modified = path.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return PACKAGED.get(home.name, DEMO) if home.parent.name == FOLDER else DEMO
    return _declared(path, modified)


def declare_packaged(home: Path) -> None:
    """Write the declaration of a packaged market into its home, so that the home can be moved; `DEMO` needs none."""
    market = market_of(home)
    if market is not DEMO and market == PACKAGED.get(market.name) and not (home / FILE).exists():
        market.write(home)


def open_clock(home: Path) -> Clock:
    """Return the clock of the market that a home belongs to.

    Examples
    --------
    >>> open_clock(Path("no/such/home")).now().isoformat()
    '2012-12-31T21:00:00+00:00'
    """
    market, path = market_of(home), home / CLOCK_FILE
    if market.clock == "replay" or path.exists():
        return ReplayClock(path, market.starts_at or DEMO_START)
    return SystemClock()


def home_of(root: Path, name: str | None) -> Path:
    """Return the home of a market, given the folder that `QUANTLAKE_HOME` names.

    Parameters
    ----------
    root
        A home, or the folder in which the homes of other markets lie, below `FOLDER`.
    name
        Name of the market; None for the one that `root` itself is the home of.

    Raises
    ------
    ConfigError
        If `root` is the home of another declared market.
    """
    if not name or name == market_of(root).name:
        return root
    if (root / FILE).exists():
        raise ConfigError(
            f"QUANTLAKE_MARKET is '{name}', and QUANTLAKE_HOME is the home of the market '{market_of(root).name}', "
            f"{root}. Unset one of the two."
        )
    return root / FOLDER / name


def known_markets(root: Path) -> dict[str, Path]:
    """Return the home of each packaged market and of each that was declared below a folder, by name.

    Of a folder that is the home of a declared market itself, only that one.
    """
    if (root / FILE).exists():
        return {market_of(root).name: root}
    declared = {path.parent.name: path.parent for path in sorted((root / FOLDER).glob(f"*/{FILE}"))}
    return {name: home_of(root, name) for name in PACKAGED} | declared


def _plain(value: Any) -> Any:
    """Return a value as YAML writes it."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Rename):
        return {name: said for name, said in vars(value).items() if said not in (None, "")}
    return dict(value) if isinstance(value, Mapping) else value


@lru_cache(maxsize=64)
def _declared(path: Path, _modified: int) -> Market:
    declared = read_declaration(path, Market)
    require_utc(declared.starts_at or DEMO_START)
    return declared
