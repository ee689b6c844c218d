"""An equal-weight index of the symbols of a file, for a market that names none. Pure functions."""

import math
from itertools import groupby

import polars as pl

BASE_LEVEL = 100.0
DECIMALS = 8


def equal_weight_index(closes: pl.DataFrame) -> pl.DataFrame:
    """Return the level of an index that holds every symbol with the same weight, weighted afresh at every close.

    ``level[t] = level[t - 1] * (1 + mean over symbols of (close[t] / close[t - 1] - 1))``, the mean taken over the
    symbols that have a close on both of two neighbouring days of the file; 100 on the first. Each level follows from
    rows up to its day alone, and sums are exact (`math.fsum`), so rows of later days change none of them.

    Parameters
    ----------
    closes
        ``symbol``, ``event_time`` and ``price``, a positive finite number; one row per symbol and day.

    Returns
    -------
    pl.DataFrame
        ``event_time`` and ``level``, in order. A day on which no symbol has both closes has no row.

    Examples
    --------
    >>> import polars as pl
    >>> closes = pl.DataFrame({"symbol": ["A", "A", "B", "B"], "event_time": [1, 2, 1, 2], "price": [10., 11., 5., 6.]})
    >>> equal_weight_index(closes).rows()
    [(1, 100.0), (2, 115.0)]
    """
    days = closes["event_time"].unique().sort()
    numbered = closes.join(days.to_frame().with_row_index("day"), on="event_time").sort("symbol", "day")
    before = numbered.select(
        pl.col("price").shift(1).over("symbol"), pl.col("day").shift(1).over("symbol").alias("last")
    )
    simple = (
        numbered.select("day", (pl.col("price") / before["price"] - 1).alias("simple_return"))
        .filter(numbered["day"] - 1 == before["last"])
        .sort("day")
    )
    level = BASE_LEVEL
    levels = {0: level} if len(days) else {}
    for day, rows in groupby(simple.iter_rows(), key=lambda row: row[0]):
        returns = [row[1] for row in rows]
        level *= 1 + math.fsum(returns) / len(returns)
        levels[day] = level
    return pl.DataFrame(
        {"event_time": days.gather(list(levels)), "level": [round(value, DECIMALS) for value in levels.values()]},
        schema={"event_time": days.dtype, "level": pl.Float64},
    )
