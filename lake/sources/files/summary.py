"""What would come of a file: its symbols, what is refused, and what else a reader should know. Pure functions."""

import polars as pl

from lake.names import why_refused
from lake.sources.files.mapping import NUMBERS, FileMapping
from lake.sources.files.proposal import RefusedRows, SymbolSpan
from lake.sources.files.sessions import closes_of

SHOWN = 5


def symbol_spans(rows: pl.DataFrame) -> tuple[SymbolSpan, ...]:
    """Return each symbol of the good rows, in alphabetical order.

    Parameters
    ----------
    rows
        As `lake.sources.files.rows.with_reasons` gives them.
    """
    spans = (
        rows.filter(pl.col("reason").is_null())
        .group_by("symbol")
        .agg(
            pl.col("day").min().alias("first"),
            pl.col("day").max().alias("last"),
            pl.len().alias("rows"),
            pl.col("written").unique().sort().alias("spellings"),
        )
        .sort("symbol")
    )
    return tuple(
        SymbolSpan(symbol, first, last, count, tuple(spellings))
        for symbol, first, last, count, spellings in spans.iter_rows()
    )


def refused_rows(rows: pl.DataFrame) -> tuple[RefusedRows, ...]:
    """Return what is refused by reason, the commonest first, each with its first row."""
    bad = rows.filter(pl.col("reason").is_not_null())
    shown = ["written", "stamp", *NUMBERS]
    counted = (
        bad.group_by("reason", maintain_order=True)
        .agg(pl.len().alias("rows"), *(pl.col(name).first() for name in shown))
        .sort("rows", descending=True, maintain_order=True)
    )
    return tuple(RefusedRows(row["reason"], row["rows"], _example(row, shown)) for row in counted.iter_rows(named=True))


def _example(row: dict[str, str | None], shown: list[str]) -> str:
    return ", ".join(
        f"{'symbol' if name == 'written' else name} {row[name]!r}" for name in shown if row[name] is not None
    )


def remarks(rows: pl.DataFrame, mapping: FileMapping) -> tuple[str, ...]:
    """Return sentences on symbols of two spellings, symbols refused, indices in the file, and closed weekends."""
    found = [] if rows["reason"].null_count() else ["No row would be loaded."]
    folded = rows.filter(pl.col("symbol").is_not_null() & (pl.col("symbol") != pl.col("written")))
    pairs = folded.select("written", "symbol").unique(maintain_order=True)
    if pairs.height:
        shown = ", ".join(f"{written!r} as {symbol}" for written, symbol in pairs.head(SHOWN).iter_rows())
        more = f" and {pairs.height - SHOWN} more" if pairs.height > SHOWN else ""
        found.append(f"Symbols are read under their canonical names: {shown}{more}.")
    refused = rows.filter(pl.col("symbol").is_null())["written"].drop_nulls().unique(maintain_order=True)
    found += [reason for text in refused.head(SHOWN).to_list() if (reason := why_refused(text))]
    declared = closes_of(mapping.calendar)["session"]
    outside = rows.filter((pl.col("day") < declared[0]) | (pl.col("day") > declared[-1])).height
    if outside:
        found.append(
            f"{outside} rows lie outside the days that calendars are declared for, {declared[0]} to {declared[-1]}."
        )
    if mapping.index is None:
        indices = rows.filter(pl.col("symbol").str.starts_with("^"))["symbol"].unique().sort().to_list()
        if indices:
            found.append(f"{', '.join(indices[:SHOWN])} may be an index; say index={indices[0]} to have no other made.")
    if mapping.calendar == "24/7":
        is_weekend = pl.col("day").dt.weekday() > 5  # noqa: PLR2004 - Saturday and Sunday
        days = rows.drop_nulls("symbol").group_by("symbol").agg(is_weekend.any().alias("weekend"))
        closed = sorted(days.filter(~pl.col("weekend"))["symbol"].to_list())
        if closed and days["weekend"].any():
            found.append(
                f"{len(closed)} symbols have no bar on a weekend and others have, e.g. {closed[0]}. "
                "A market has one calendar: put them into a file of their own."
            )
    return tuple(found)
