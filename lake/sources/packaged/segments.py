"""A packaged market as a value: which rows of which file count, and how a later file goes on an earlier one."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from lake.calendars import VENUE
from lake.sources.packaged.files import PackagedFile
from lake.sources.splits import with_later_splits


@dataclass(frozen=True)
class Segment:
    """The bars of a file that count in a market.

    Parameters
    ----------
    file
        Where they are read.
    symbols
        Those of them that count; none named means all that the file holds but `without`.
    first, last
        Days between which they count, both included; None for those of the market.
    link
        Adjusted close of this file over that of the symbol's segment before, on the days that both have: adjusted
        closes are divided by it, so that they go on where the earlier segment ends and no earlier bar moves. None
        where nothing is linked.
    shares
        Shares of this file for one share of the segment before, where both state their prices on one basis: prices
        are multiplied by it, and volumes divided, so that no split is seen where one file goes on another. Otherwise
        other values than the adjusted close stay as they are printed.
    """

    file: PackagedFile
    symbols: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    link: float | None = None
    shares: float = 1.0
    without: tuple[str, ...] = ()

    def rows(self, first: date, last: date) -> pl.DataFrame:
        """Return the rows that count of a market between two days, both included."""
        is_inside = pl.col("date").is_between(pl.lit(str(self.first or first)), pl.lit(str(self.last or last)))
        counts = pl.col("symbol").is_in(self.symbols) if self.symbols else ~pl.col("symbol").is_in(self.without)
        rows = self.file.rows().filter(is_inside & counts).with_columns(pl.col("date").str.to_date().alias("session"))
        rows = with_later_splits(rows, self.file.actions()).drop("session")
        if self.link is None:
            return rows
        factors = {"adj_close": 1 / self.link}
        if self.shares != 1:
            factors |= dict.fromkeys(("open", "high", "low", "close"), self.shares)
            factors |= dict.fromkeys(("volume", "later_splits"), 1 / self.shares)
        return rows.with_columns(
            (pl.col(name).cast(pl.Float64) * factor).cast(pl.String).alias(name) for name, factor in factors.items()
        )


@dataclass(frozen=True)
class PackagedBars:
    """The bars of a packaged market.

    Parameters
    ----------
    name
        Value of the column `source`.
    segments
        What it consists of; no two hold a bar of one symbol and day.
    first_day, last_day
        Days between which it has bars, both included.
    caveats
        Sentences that belong beside every figure made from its bars.
    calendar
        Whose closes its bars are stamped with.
    """

    name: str
    segments: tuple[Segment, ...]
    first_day: date
    last_day: date
    caveats: tuple[str, ...] = ()
    calendar: str = VENUE
