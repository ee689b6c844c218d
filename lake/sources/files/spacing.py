"""How far apart the rows of a symbol are. Pure functions."""

import polars as pl

DAY = 1_440
STEPS = ((1, "1m"), (5, "5m"), (15, "15m"), (30, "30m"), (60, "60m"), (240, "4h"))
WORDS = {"1d": "a day", "1w": "a week", "1mo": "a month", "4h": "four hours"}
SPANS = ((1, 4, "1d"), (5, 9, "1w"), (26, 33, "1mo"))
"""Days between neighbouring rows, and the interval; a sparse or a weekly holiday pushes a daily median to 4 at most."""


def find_interval(cells: pl.DataFrame, read: pl.DataFrame, time: str, symbol: str | None) -> tuple[str, str]:
    """Return the interval of a file and the evidence: the usual step between neighbouring times of one symbol.

    Parameters
    ----------
    cells
        The file.
    read
        `time` as distinct texts, and ``at``, what each says.
    symbol
        Column of symbols; the symbol with the most rows is looked at.
    """
    texts = cells.select(time)
    if symbol is not None:
        largest = cells[symbol].drop_nulls().value_counts(sort=True)
        if largest.height:
            texts = cells.filter(pl.col(symbol) == largest[symbol][0]).select(time)
    at = texts.join(read, on=time, how="inner")["at"].drop_nulls().unique().sort()
    if len(at) < 2:  # noqa: PLR2004 - a step needs two
        return "1d", "there are too few rows of one symbol to tell; rows are taken to be a day apart"
    minutes = float(at.diff().drop_nulls().dt.total_minutes().median())  # type: ignore[arg-type]  # there is one at least
    for step, name in STEPS:
        if minutes <= step:
            return name, f"rows of a symbol are {minutes:g} minutes apart"
    days = round(minutes / DAY)
    for low, high, name in SPANS:
        if low <= days <= high:
            return name, f"rows of a symbol are {WORDS[name]} apart"
    return "irregular", f"rows of a symbol are {minutes / DAY:g} days apart"
