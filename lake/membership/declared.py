"""Membership as a market declares it: a CSV file of symbols and the days on which they belonged to it."""

from pathlib import Path

import polars as pl

from lake import calendars
from lake.errors import ConfigError
from lake.market import Market
from lake.names import canonical_symbol
from lake.tables import UNIVERSE

COLUMNS = ("symbol", "from", "until")


def read_members(market: Market, home: Path) -> pl.DataFrame | None:
    """Return the declared members of a market.

    Parameters
    ----------
    home
        Folder that a relative path is relative to.

    Returns
    -------
    pl.DataFrame or None
        ``symbol`` (as the market calls the instrument), ``since`` and ``until`` (dates; null where the file says
        nothing), one row per spell. None where the market declares none.

    Raises
    ------
    ConfigError
        If the file is missing or lacks a column, or a row has no symbol, no date as 2012-05-18, or ends before it
        begins.
    """
    if market.members is None:
        return None
    path = home / market.members
    try:
        cells = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(f"The members of the market '{market.name}' cannot be read from {path}: {error}.") from error
    if missing := [name for name in COLUMNS if name not in cells.columns]:
        raise ConfigError(f"{path} has no column {', '.join(missing)}. It needs {', '.join(COLUMNS)}, one row a spell.")
    spells = cells.select(
        _symbols(cells["symbol"], market).alias("symbol"),
        *(_day(name).alias(as_name) for name, as_name in (("from", "since"), ("until", "until"))),
    )
    is_unread = [
        pl.col(name).is_null() & cells[given].is_not_null() for given, name in zip(COLUMNS, spells.columns, strict=True)
    ]
    is_wrong = pl.any_horizontal(pl.col("symbol").is_null(), *is_unread, pl.col("until") <= pl.col("since"))
    wrong = spells.with_row_index("line", 2).filter(is_wrong.fill_null(value=False))
    if wrong.height:
        line = wrong["line"][0]
        raise ConfigError(
            f"Line {line} of {path} is {', '.join(str(cell) for cell in cells.row(line - 2))}: expected a symbol, and "
            "dates as 2012-05-18, the first day and the first day after, or nothing where it is open."
        )
    return spells


def declared_rows(spells: pl.DataFrame, market: Market) -> pl.DataFrame:
    """Return declared spells as rows of `universe`: from the first session of each on, up to the first one after it.

    What is declared counts as known when it takes effect, as no file says when it was announced.
    """
    closes = calendars.closes(market.calendar).rename({"session": "day"})
    first = closes["day"].min()
    begins = spells.select("symbol", pl.col("since").fill_null(first).alias("day"), pl.lit("listed").alias("reason"))
    ends = spells.drop_nulls("until").select("symbol", pl.col("until").alias("day"), pl.lit("removed").alias("reason"))
    dated = pl.concat([ends, begins]).sort("day", maintain_order=True)
    placed = dated.join_asof(closes, on="day", strategy="forward").drop_nulls("event_time")
    return (
        placed.unique(["symbol", "event_time"], keep="last", maintain_order=True)
        .select(
            pl.lit(market.name).alias("universe"),
            "symbol",
            "event_time",
            (pl.col("reason") == "listed").alias("is_member"),
            pl.col("event_time").alias("known_time"),
            pl.lit("declared").alias("basis"),
            "reason",
            pl.lit(Path(market.members or "").name).alias("source"),
        )
        .select(UNIVERSE.names)
    )


def _symbols(written: pl.Series, market: Market) -> pl.Series:
    """Return what the market calls each; a name that an instrument had once is that instrument's."""
    today = {span.name: span.symbol for span in market.names.spans}
    canonical = {text: canonical_symbol(text) for text in written.unique().drop_nulls()}
    named = {text: today.get(symbol, symbol) if symbol else None for text, symbol in canonical.items()}
    return written.replace_strict(named, default=None, return_dtype=pl.String)


def _day(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
