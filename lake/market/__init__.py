"""Markets: what is true of one market and of no other, as a value that lies in the market's home.

The packaged market `DEMO` needs no file. Every other home holds ``market.yaml``, so that whatever opens the home, moved
or copied, from whichever process, reads and writes that market and no other; the home of another packaged market gets
its file with its first run.

- `value`: the declaration of one market, `Market`
- `packaged`: `DEMO` and the other markets that are declared here, by name in `PACKAGED`
- `declaration`: a ``market.yaml`` as the value that it declares
- `homes`: which market a home belongs to, and its clock
"""

from lake.market.homes import (
    CLOCK_FILE,
    FOLDER,
    declare_packaged,
    home_of,
    known_markets,
    market_of,
    open_clock,
)
from lake.market.packaged import BTC, DEMO, LONG, PACKAGED, WIDE
from lake.market.value import CHOICE, FILE, Market

__all__ = [
    "BTC",
    "CHOICE",
    "CLOCK_FILE",
    "DEMO",
    "FILE",
    "FOLDER",
    "LONG",
    "PACKAGED",
    "WIDE",
    "Market",
    "declare_packaged",
    "home_of",
    "known_markets",
    "market_of",
    "open_clock",
]
