"""Names in raw rows to symbols: one spelling at the door, and the instrument that a name stood for on the row's day."""

from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from lake.membership import read_members
from lake.names import canonical_symbol
from lake.refine import AS_RECEIVED, refused_as
from lake.store import LakeReader
from lake.tables import QUARANTINE

UNKNOWN = "unknown_symbol"
"""Reason of a row whose name is of no instrument that the market declares."""
Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


@dataclass(frozen=True)
class RowNames:
    """How the names in a market's raw rows are read.

    Parameters
    ----------
    symbol
        The symbol of a row, null where its name is of no instrument; None where every name is a symbol.
    identity
        Changes with what the market declares of names; empty where it declares none.
    """

    symbol: pl.Expr | None
    identity: str

    @classmethod
    def of(cls, lake: LakeReader) -> "RowNames":
        """Return how the market of a lake reads them."""
        market, spells = lake.market, read_members(lake.market, lake.root.parent)
        renames = market.renames if market.row_names == "as_traded" else ()
        if not renames and spells is None:
            return cls(None, "")
        symbol = market.names.resolved() if renames else pl.col("symbol")
        listed = [] if spells is None else sorted({*spells["symbol"], market.index})
        if listed:
            symbol = pl.when(symbol.is_in(listed)).then(symbol)
        return cls(symbol, repr((renames, listed)))

    def read(self, rows: Frame) -> Frame:
        """Put the symbol of each row in the place of its name, which goes to the column `AS_RECEIVED`."""
        if self.symbol is None:
            return rows
        return rows.with_columns(self.symbol.alias("symbol"), pl.col("symbol").alias(AS_RECEIVED))

    def split(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Split what `read` gave into rows that can be judged, and the others as rows of quarantine."""
        if self.symbol is None:
            return rows, QUARANTINE.empty()
        is_unknown = pl.col("symbol").is_null() & pl.col(AS_RECEIVED).is_not_null()
        return rows.filter(~is_unknown), refused_as(rows.filter(is_unknown), UNKNOWN)


def spelled(rows: pl.DataFrame, index: str) -> pl.DataFrame:
    """Return raw rows with each symbol in its canonical spelling; null, and so refused, where it has none.

    Parameters
    ----------
    index
        Symbol of the market's index, which is spelled as the market declares it.

    Examples
    --------
    >>> spelled(pl.DataFrame({"symbol": [" brk.b", "AAPL", "EUR/USD"]}), "^GSPC")["symbol"].to_list()
    ['BRK.B', 'AAPL', None]
    """
    written = rows["symbol"].unique().drop_nulls().to_list()
    canonical = {text: text if text == index else canonical_symbol(text) for text in written}
    if all(text == symbol for text, symbol in canonical.items()):
        return rows
    return rows.with_columns(pl.col("symbol").replace_strict(canonical, default=None, return_dtype=pl.String))
