"""What instruments are called: one spelling of a symbol, and the names that it had. Values and pure functions.

- `canonical_symbol`, `why_refused`: one spelling for each way in which a source writes a symbol
- `Rename`: a day on which an instrument began to trade under another name, as a market declares it
- `NameHistory`: the names of a market's instruments over time; `resolve` says whose a name was on a day
- `KnownSymbols`: the symbols that can be asked for, under present and former names
"""

from lake.names.asking import AskedSymbol, KnownSymbols
from lake.names.history import NameHistory, NameSpan, Rename, Resolved
from lake.names.spelling import LONGEST_SYMBOL, canonical_symbol, why_refused

__all__ = [
    "LONGEST_SYMBOL",
    "AskedSymbol",
    "KnownSymbols",
    "NameHistory",
    "NameSpan",
    "Rename",
    "Resolved",
    "canonical_symbol",
    "why_refused",
]
