"""Which market a home belongs to, where the homes of markets lie, and what time it is in them."""

from functools import lru_cache
from pathlib import Path

from lake.clock import DEMO_START, Clock, ReplayClock, SystemClock, require_utc
from lake.errors import ConfigError
from lake.market.declaration import read_declaration
from lake.market.packaged import DEMO, PACKAGED
from lake.market.value import FILE, Market

CLOCK_FILE = "clock.json"
FOLDER = "markets"
"""Folder below QUANTLAKE_HOME with a home for each market but the packaged default."""


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


@lru_cache(maxsize=64)
def _declared(path: Path, _modified: int) -> Market:
    declared = read_declaration(path, Market)
    require_utc(declared.starts_at or DEMO_START)
    return declared
