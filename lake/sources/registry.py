"""Every source of bars by name, and the one that the settings choose."""

from collections.abc import Callable
from pkgutil import resolve_name

from lake.errors import ConfigError, UnknownNameError
from lake.sources.base import BarSource


def _packaged() -> BarSource:
    from lake.sources.packaged import PackagedMarket

    return PackagedMarket()


SOURCES: dict[str, Callable[[], BarSource]] = {"packaged": _packaged}
"""What makes each source; a new one is a file in this folder and an entry here."""


def caveats_of(name: str) -> tuple[str, ...]:
    """Return what a source says belongs beside every figure made from its bars; nothing where it says nothing.

    Parameters
    ----------
    name
        As for `open_source`, whose errors it raises.

    Examples
    --------
    >>> len(caveats_of("packaged"))
    1
    """
    return tuple(getattr(open_source(name), "caveats", ()))


def open_source(name: str) -> BarSource:
    """Return a source of bars.

    Parameters
    ----------
    name
        Name in `SOURCES`, or ``module:name`` of something importable that makes a source when it is called.

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
        return SOURCES[name]()
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
