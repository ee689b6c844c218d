"""Every source of bars by name, and the one that the settings choose."""

from collections.abc import Callable
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from lake.errors import ConfigError, UnknownNameError
from lake.market import DEMO, Market
from lake.settings import Settings
from lake.sources.base import BarSource

if TYPE_CHECKING:
    from lake.sources.files import FileMapping


def _packaged(_market: Market) -> BarSource:
    from lake.sources.packaged import PackagedMarket

    return PackagedMarket()


def _file(market: Market) -> BarSource:
    from lake.sources.files import FileSource

    return FileSource(mapping_of(market))


def mapping_of(market: Market) -> "FileMapping":
    """Return how the price file of a market is read: its options, under the market's own calendar and index.

    Raises
    ------
    ConfigError
        If an option is missing or unknown.
    """
    from lake.sources.files import FileMapping

    index = {"index" if "index" in market.options else "index_name": market.index}
    return FileMapping.from_dict({**market.options, **index, "calendar": market.calendar})


SOURCES: dict[str, Callable[[Market], BarSource]] = {"packaged": _packaged, "file": _file}
"""What makes each source for a market; a new one is a file in this folder and an entry here."""


def source_of(configured: Settings) -> BarSource:
    """Return the source of bars that the settings name, or else the one that their market declares."""
    market = configured.declared_market
    return open_source(configured.source or market.source, market)


def caveats_of(source: BarSource) -> tuple[str, ...]:
    """Return what a source says belongs beside every figure made from its bars; nothing where it says nothing.

    Examples
    --------
    >>> len(caveats_of(open_source("packaged")))
    1
    """
    return tuple(getattr(source, "caveats", ()))


def open_source(name: str, market: Market = DEMO) -> BarSource:
    """Return a source of bars.

    Parameters
    ----------
    name
        Name in `SOURCES`, or ``module:name`` of something importable that makes a source when it is called.
    market
        The market that it is opened for: its options are the source's.

    Raises
    ------
    UnknownNameError
        If there is none of that name, with those that there are.
    ConfigError
        If a module or its name does not exist, or what is made does not have what a source has.
    """
    if ":" not in name:
        if name not in SOURCES:
            raise UnknownNameError("source", name, SOURCES)
        return SOURCES[name](market)
    try:
        make = resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"QUANTLAKE_SOURCE is '{name}', and that cannot be imported: {error}.") from error
    source = make()
    missing = [part for part in ("name", "read") if not hasattr(source, part)]
    if missing:
        raise ConfigError(
            f"QUANTLAKE_SOURCE is '{name}', and what it makes has no {' and no '.join(missing)}. "
            "A source has both, see lake.sources.base.BarSource."
        )
    made: BarSource = source
    return made
