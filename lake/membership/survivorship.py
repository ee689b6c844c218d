"""What the list of symbols means for every figure made from it, as a sentence."""

from datetime import datetime

import polars as pl

from lake.membership.reading import members_of
from lake.store import LakeReader
from lake.tables import UNIVERSE

STILL_THERE = "returns are likely those of survivors"
NO_TABLE = "The list of symbols has no record of those that left yet; returns are likely those of survivors."


def survivorship_of(lake: LakeReader, at: datetime) -> str:
    """Return how many of the symbols of a lake's market ever left, as known at an instant.

    Parameters
    ----------
    at
        Instant with a zone; what becomes known later is not counted.

    Returns
    -------
    str
        A sentence for a reader of a back-test or a model table. The index is not counted.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC
    >>> from pathlib import Path
    >>> from lake.store import Lake
    >>> survivorship_of(Lake(Path(tempfile.mkdtemp())), datetime(2012, 12, 31, tzinfo=UTC))
    'The list of symbols has no record of those that left yet; returns are likely those of survivors.'
    """
    if not lake.exists(UNIVERSE):
        return NO_TABLE
    market = lake.market
    is_own = (pl.col("universe") == market.name) & (pl.col("symbol") != market.index)
    rows = lake.read(UNIVERSE, where=is_own & (pl.col("known_time") <= at) & (pl.col("event_time") <= at))
    ever = rows.filter(pl.col("is_member") & (pl.col("basis") == "coverage"))
    ever = ever.filter(~pl.col("symbol").is_in(rows.filter(pl.col("reason") == "renamed")["symbol"].implode()))
    if (listed := rows.filter(pl.col("reason") == "listed")).height:
        ever = ever.filter(pl.col("symbol").is_in(listed["symbol"].implode()))
    if ever.is_empty():
        return NO_TABLE
    symbols = ever["symbol"].n_unique()
    left = sorted(set(ever["symbol"]) - set(members_of(rows)))
    if not left:
        one = "The only symbol never" if symbols == 1 else f"No symbol of {symbols} ever"
        return f"{one} left the market: {STILL_THERE}."
    named = ", ".join(left[:5]) + (", ..." if len(left) > 5 else "")  # noqa: PLR2004 - what fits a line
    return f"{len(left)} of {symbols} symbols left the market: {named}."
