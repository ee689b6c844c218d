"""Connectors offline: real connector, real policy, real tables, against vendors that are played on this machine."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from lake.calendars import close_of
from lake.clock import FixedClock
from lake.errors import ConfigError, UnknownNameError
from lake.ingest.fetching import ingest_bars
from lake.ingest.refining import refine_to_lake
from lake.market import FILE, Market
from lake.settings import Settings
from lake.sources import CONNECTORS, SERIES, connector_of, open_http_source
from lake.sources.fred import read_vintages
from lake.sources.http import Fetcher, RequestCount
from lake.sources.replay import SERIES as PLAYED_SERIES
from lake.sources.replay import SYMBOLS, VENDORS, PlayedArchive, PlayedVendor, ReplayServer, VirtualTime
from lake.store import Lake

KEY = "a-key-of-no-vendor"
FIRST = date(2012, 1, 3)
BEFORE, LAST = date(2012, 12, 28), date(2012, 12, 31)
AFTER_THE_CLOSE = timedelta(hours=12)
RESTATED = date(2012, 12, 27)
A_DAY = timedelta(days=1)
FIRST_PULL, SAME_AGAIN, NEXT_SESSION = "a year", "the same again", "a session more"
REFINED = "bars"


@dataclass(frozen=True)
class ReplayedPull:
    """What one pull against a played vendor asked, how long it waited on the replay's clock, and what it stored."""

    source: str
    what: str
    requests: int = 0
    waited_seconds: float = 0.0
    rows: int = 0
    corrected: int = 0
    refused: int = 0


@dataclass
class _Played:
    """A vendor that is played, its clock, and the server that answers for it."""

    vendor: PlayedVendor
    time: VirtualTime
    server: ReplayServer
    asked: int = field(default=0)
    waited: float = field(default=0.0)

    def since_before(self) -> tuple[int, float]:
        """Requests and waits since this was asked last."""
        asked, waited = len(self.server.log), sum(self.time.slept)
        found = asked - self.asked, waited - self.waited
        self.asked, self.waited = asked, waited
        return found


def replay_sources(home: Path, names: Sequence[str] = ()) -> Iterator[ReplayedPull]:
    """Pull from played vendors into a home: a year, the same again, then a session more and one bar corrected.

    Parameters
    ----------
    home
        Folder of a home of the replay's own; it is made, and a market ``replay`` declared in it.
    names
        Vendors, the preferred one first; none means all.

    Yields
    ------
    ReplayedPull
        One per vendor and pull as soon as it is done, then one for the bars that the rows became.

    Raises
    ------
    UnknownNameError
        If there is no such vendor.
    ConfigError
        If the home holds anything else.

    Examples
    --------
    >>> import tempfile
    >>> pulls = [*replay_sources(Path(tempfile.mkdtemp()), ["yahoo"])]
    >>> [(pull.what, pull.requests, pull.rows, pull.corrected) for pull in pulls[:2]]
    [('a year', 5, 1150, 0), ('the same again', 5, 0, 0)]
    """
    known = [*CONNECTORS, *SERIES]
    for name in names:
        if name not in known:
            raise UnknownNameError("source", name, known)
    wanted = [*dict.fromkeys(names or known)]
    vendors = [name for name in wanted if name in CONNECTORS]
    _require_own_home(home)
    if vendors:
        _declare(home, vendors)
        yield from _replay_bars(home, vendors)
    if {*wanted} & {*SERIES}:
        yield _replay_series(home)


def _declare(home: Path, vendors: Sequence[str]) -> None:
    """Declare a market that stands where the replay ends, so that nothing is taken for late when it is looked at."""
    options = {"symbols": [*SYMBOLS]}
    Market(
        "replay",
        vendors[0],
        index=SYMBOLS[0],
        clock="replay",
        starts_at=close_of(LAST) + A_DAY,
        first_year=FIRST.year,
        last_day=LAST,
        options=options,
        other_sources=tuple(vendors[1:]),
    ).write(home)


def _require_own_home(home: Path) -> None:
    if home.exists() and any(home.iterdir()):
        is_own = (home / FILE).exists()
        raise ConfigError(
            f"{home} is not empty{': it is the home of a market' if is_own else ''}. A replay takes a folder of its "
            "own; name one that does not exist."
        )


def _replay_bars(home: Path, names: Sequence[str]) -> Iterator[ReplayedPull]:
    lake = Lake(home / "tables")
    with ExitStack() as stack:
        played = {name: _play(stack, name) for name in names}
        for what in (FIRST_PULL, SAME_AGAIN, NEXT_SESSION):
            for name, vendor in played.items():
                _move(vendor, what)
                yield _pull(lake, home, name, vendor, what)
        now = max(vendor.time.now() for vendor in played.values())
    bars, _, refused = refine_to_lake(lake, FixedClock(now))
    yield ReplayedPull("", REFINED, rows=bars.rows, refused=refused.rows)


def _play(stack: ExitStack, name: str) -> _Played:
    vendor, time = VENDORS[name](), VirtualTime(close_of(BEFORE) + AFTER_THE_CLOSE)
    server = stack.enter_context(ReplayServer(time, vendor.answer))
    vendor.url, vendor.until = server.url, BEFORE
    return _Played(vendor, time, server)


def _move(played: _Played, what: str) -> None:
    """Let the time of a pull come, and what the vendor has by then."""
    if what == SAME_AGAIN:
        played.time.at += A_DAY + timedelta(hours=1)  # allowances of a day begin anew
    elif what == NEXT_SESSION:
        played.time.at = max(close_of(LAST) + AFTER_THE_CLOSE, played.time.at + timedelta(hours=1))
        played.vendor.until = LAST
        bar = played.vendor.bars[SYMBOLS[0]][RESTATED]
        played.vendor.bars[SYMBOLS[0]][RESTATED] = bar | {"volume": (bar["volume"] or 0) + 100}


def _pull(lake: Lake, home: Path, name: str, played: _Played, what: str) -> ReplayedPull:
    source = open_http_source(
        name, SYMBOLS, _settings(home, played.server.url), first=FIRST, clock=played.time, sleep=played.time.sleep
    )
    report = ingest_bars(lake, source, played.time)
    requests, waited = played.since_before()
    return ReplayedPull(name, what, requests, waited, report.added, report.details.get("corrected", 0))


def _replay_series(home: Path) -> ReplayedPull:
    (name,) = SERIES
    time = VirtualTime(datetime.combine(LAST, datetime.min.time(), close_of(LAST).tzinfo))
    with ReplayServer(time, PlayedArchive().answer) as server:
        count = RequestCount(_settings(home, server.url).sources, connector_of(name).limits, time)
        fetcher = Fetcher(connector_of(name), count, base_url=server.url, secret=KEY, sleep=time.sleep)
        rows = read_vintages(fetcher, [PLAYED_SERIES]).height
        return ReplayedPull(name, f"vintages of {PLAYED_SERIES}", len(server.log), sum(time.slept), rows)


def _settings(home: Path, url: str) -> Settings:
    key = SecretStr(KEY)
    return Settings(
        home=home, source_url=url, https_proxy=None, alphavantage_api_key=key, massive_api_key=key, fred_api_key=key
    )
