"""Every source of bars by name, and the one that the settings choose."""

import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from importlib import import_module
from inspect import Parameter, signature
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from lake import calendars
from lake.clock import Clock, SystemClock
from lake.errors import AuthError, ConfigError, UnknownNameError
from lake.horizons import DAY
from lake.knowledge import known_bases
from lake.market import DEMO, Market
from lake.membership import survivorship_of
from lake.names import NameHistory
from lake.settings import Settings
from lake.settings import settings as read_settings
from lake.sources.base import BarSource
from lake.store import LakeReader

if TYPE_CHECKING:
    from lake.sources.files import FileMapping
    from lake.sources.http import Connector, Fetcher, HttpBars
    from lake.sources.macro import MacroBatch, MacroSource


def _packaged(_market: Market) -> BarSource:
    from lake.sources.packaged import PackagedMarket

    return PackagedMarket()


def _packaged_long(_market: Market) -> BarSource:
    from lake.sources.packaged import LONG_BARS, PackagedMarket

    return PackagedMarket(LONG_BARS)


def _packaged_wide(_market: Market) -> BarSource:
    from lake.sources.packaged import WIDE_BARS, PackagedMarket

    return PackagedMarket(WIDE_BARS)


def _file(market: Market) -> BarSource:
    from lake.sources.files import FileSource

    return FileSource(mapping_of(market), names=market.names if market.row_names == "as_traded" else NameHistory())


def _packaged_macro() -> "MacroSource":
    from lake.sources.packaged import PackagedMacro

    return PackagedMacro()


SOURCES: dict[str, Callable[[Market], BarSource]] = {
    "packaged": _packaged,
    "packaged-long": _packaged_long,
    "packaged-wide": _packaged_wide,
    "file": _file,
}
"""What makes each source that is asked for no symbols; a new one is a file in this folder and an entry here."""
MACRO_SOURCES = {"packaged-macro": _packaged_macro}
"""What makes each source of economic series that a market may name."""
CONNECTORS = {"alpha_vantage": "AlphaVantage", "polygon": "Polygon", "yahoo": "Yahoo"}
"""Class of each vendor of bars that is asked over HTTP, in the module of the source's name; a new one is one more."""
SERIES = {"fred": "Fred"}
"""The same of vendors of economic series, which are pulled by name."""


def connector_of(name: str) -> "Connector":
    """Return a vendor as values: its address, limits, key and terms, without asking it anything.

    Raises
    ------
    UnknownNameError
        If there is none of that name, with those that there are.

    Examples
    --------
    >>> connector_of("yahoo").title
    'Yahoo Finance'
    """
    classes = CONNECTORS | SERIES
    if name not in classes:
        raise UnknownNameError("source", name, [*SOURCES, *classes])
    made: Connector = getattr(import_module(f"lake.sources.{name}"), classes[name])()
    return made


def open_http_source(
    name: str,
    symbols: Sequence[str],
    settings: Settings,
    calendar: str = calendars.VENUE,
    *,
    first: date = calendars.FIRST_SESSION,
    clock: Clock | None = None,
    sleep: Callable[[float], object] | None = None,
) -> "HttpBars":
    """Return a vendor that is asked over HTTP as a source of bars.

    Parameters
    ----------
    symbols
        Those to ask for, as the vendor spells them.
    settings
        Keys, the folder where requests are counted, and another address or a proxy where they are set.
    calendar
        Exchange whose sessions the bars belong to.
    first
        First session of the history, asked for when nothing is stored.
    clock, sleep
        The wall clock and real waiting, unless a test gives its own.

    Raises
    ------
    ConfigError
        If no symbol is named.
    AuthError
        If the vendor needs a key and none is set.
    """
    from lake.sources.http import HttpBars

    if name in SERIES:
        raise ConfigError(f"'{name}' tells economic series and no bars. Name one of {', '.join(CONNECTORS)}.")
    connector = connector_of(name)
    if not symbols:
        raise ConfigError(f"{connector.title} is asked symbol by symbol, and none is named. Name those of the market.")
    return HttpBars(_fetcher(connector, settings, clock, sleep), symbols, calendar, first)


def pull_series(
    name: str,
    series: Sequence[str],
    settings: Settings,
    *,
    clock: Clock | None = None,
    sleep: Callable[[float], object] | None = None,
) -> "MacroBatch":
    """Return every vintage of some economic series that a vendor in `SERIES` has, as rows of `raw_macro`.

    Parameters
    ----------
    series
        Those to ask for, as the vendor spells them.
    settings, clock, sleep
        As for `open_http_source`, whose errors it raises.
    """
    from lake.sources.fred import pull

    if name not in SERIES:
        raise ConfigError(f"'{name}' has no economic series. Name one of {', '.join(SERIES)}.")
    if not series:
        raise ConfigError(f"{connector_of(name).title} is asked series by series, and none is named.")
    return pull(_fetcher(connector_of(name), settings, clock, sleep), series)


def _fetcher(
    connector: "Connector", settings: Settings, clock: Clock | None, sleep: Callable[[float], object] | None
) -> "Fetcher":
    from lake.sources.http import Fetcher, RequestCount

    secret = key_of(connector, settings)
    if connector.auth is not None and secret is None:
        raise AuthError(f"{connector.title} needs a key, and none is set. Set {connector.auth.variable} to yours.")
    return Fetcher(
        connector,
        RequestCount(settings.sources, connector.limits, clock or SystemClock()),
        base_url=settings.source_url or "",
        secret=secret,
        sleep=sleep or time.sleep,
        proxy=settings.https_proxy.get_secret_value() if settings.https_proxy else None,
    )


def open_macro_source(market: Market) -> "MacroSource | None":
    """Return the source of economic series that a market names; None where it names none.

    Raises
    ------
    UnknownNameError
        If there is none of that name, with those that there are.

    Examples
    --------
    >>> open_macro_source(DEMO).name
    'packaged-macro'
    """
    if not market.macro_source:
        return None
    if market.macro_source not in MACRO_SOURCES:
        raise UnknownNameError("source of economic series", market.macro_source, MACRO_SOURCES)
    return MACRO_SOURCES[market.macro_source]()


def key_of(connector: "Connector", settings: Settings) -> str | None:
    """Return the key that is set for a vendor; None where it needs none, or none is set."""
    if connector.auth is None:
        return None
    secret = getattr(settings, connector.auth.variable.lower())
    return secret.get_secret_value() or None if secret is not None else None


def mapping_of(market: Market) -> "FileMapping":
    """Return how the price file of a market is read: its options, under the market's own calendar and index.

    Raises
    ------
    ConfigError
        If an option is missing or unknown.
    """
    from lake.sources.files import FileMapping

    index = {"index" if "index" in market.options else "index_name": market.index}
    own = {"calendar": market.calendar, "interval": market.interval}
    return FileMapping.from_dict({**market.options, **index, **own})


def source_of(configured: Settings) -> BarSource:
    """Return the source of bars that the settings name, or else the one that their market declares."""
    return open_source(configured.source_name, configured.declared_market, settings=configured)


def sources_of(configured: Settings, only: str | None = None) -> tuple[BarSource, ...]:
    """Return the sources of a market in the order of their priority; one that the settings name stands alone.

    Parameters
    ----------
    only
        Name of the one that is wanted; None for all.

    Raises
    ------
    UnknownNameError
        If `only` is none of them.

    Examples
    --------
    >>> from pathlib import Path
    >>> [source.name for source in sources_of(Settings(home=Path("no/such/home"), source=None))]
    ['packaged']
    """
    market = configured.declared_market
    further = () if configured.source else market.other_sources
    names = tuple(dict.fromkeys((configured.source_name, *further)))
    if only is not None and only not in names:
        raise UnknownNameError("source", only, names)
    wanted = names if only is None else (only,)
    return tuple(
        source_of(configured)
        if name == configured.source_name
        else open_source(name, market.as_told_to(name), settings=configured)
        for name in wanted
    )


def caveats_of(
    name: str, market: Market = DEMO, lake: LakeReader | None = None, at: datetime | None = None
) -> tuple[str, ...]:
    """Return what belongs beside every figure made from the bars of a source, whole sentences.

    What the source says of its bars, and with a lake how it is known when they were known (`lake.knowledge`), and what
    the market's list of symbols means: how many ever left it (`lake.membership.survivorship_of`), unless the source
    says that of its own list.

    Parameters
    ----------
    name, market
        As for `open_source`, whose errors it raises; a vendor needs no key for this.
    lake, at
        Tables of the market, and the instant as known at which they are read.

    Examples
    --------
    >>> len(caveats_of("packaged"))
    1
    """
    said = connector_of(name) if name in CONNECTORS else open_source(name, market)
    caveats = tuple(getattr(said, "caveats", ()))
    if lake is None or at is None:
        return caveats
    known = known_bases(lake, at).sentence()
    survived = "" if getattr(said, "knows_survivorship", False) else survivorship_of(lake, at)
    return tuple(filter(None, (known, *caveats, survived)))


def caveats_now(configured: Settings) -> tuple[str, ...]:
    """Return what belongs beside every figure of the market of some settings, as its tables are known now."""
    lake, now = LakeReader.open(configured), configured.clock.now()
    return caveats_of(configured.source_name, configured.declared_market, lake, now)


def delay_of(name: str, market: Market = DEMO) -> timedelta | None:
    """Return how long after a close a source has its bars; None where it does not say.

    Parameters
    ----------
    name, market
        As for `open_source`, whose errors it raises; a vendor needs no key for this.

    Examples
    --------
    >>> delay_of("yahoo")
    datetime.timedelta(seconds=1800)
    """
    if name in CONNECTORS:
        return connector_of(name).delay
    declared: timedelta | None = getattr(open_source(name, market), "delay", None)
    return declared


def open_source(name: str, market: Market = DEMO, *, settings: Settings | None = None) -> BarSource:
    """Return a source of bars.

    Parameters
    ----------
    name
        Name in `SOURCES` or `CONNECTORS`, or ``module:name`` of something importable that makes a source when it is
        called: with the market where it has one parameter to give, or a first one called ``market``; else with nothing.
    market
        The market that it is opened for: what its options say, a vendor's ``symbols`` among them, is for the source.
    settings
        Where keys come from; those of this process unless given.

    Raises
    ------
    UnknownNameError
        If there is none of that name, with those that there are.
    ConfigError
        If a module or its name does not exist, or what is made does not have what a source has.
    """
    if market.interval != DAY and (name in CONNECTORS or name == DEMO.source):
        raise ConfigError(
            f"The source '{name}' tells daily bars, and those of the market '{market.name}' are of {market.interval}. "
            "Declare interval 1d, or bring a file of such bars."
        )
    if name in CONNECTORS:
        asked = tuple(market.options.get("symbols", ()))
        symbols = asked if not asked or market.index in asked else (*asked, market.index)
        first = max(calendars.FIRST_SESSION, date(market.first_year, 1, 1))
        return open_http_source(name, symbols, settings or read_settings(), market.calendar, first=first)
    if ":" not in name:
        if name not in SOURCES:
            raise UnknownNameError("source", name, [*SOURCES, *CONNECTORS])
        return SOURCES[name](market)
    try:
        make = resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"QUANTLAKE_SOURCE is '{name}', and that cannot be imported: {error}.") from error
    source = make(market) if _takes_market(make) else make()
    missing = [part for part in ("name", "read") if not hasattr(source, part)]
    if missing:
        raise ConfigError(
            f"QUANTLAKE_SOURCE is '{name}', and what it makes has no {' and no '.join(missing)}. "
            "A source has both, see lake.sources.base.BarSource."
        )
    made: BarSource = source
    return made


def _takes_market(make: Callable[..., BarSource]) -> bool:
    """Whether what makes a source has a parameter ``market``, or exactly one that has to be given."""
    try:
        parameters = signature(make).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return False
    given = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    positional = [each for each in parameters if each.kind in given]
    required = [each for each in positional if each.default is Parameter.empty]
    return [each.name for each in positional[:1]] == ["market"] or len(required) == 1
