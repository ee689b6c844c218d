"""What a delivery that repeats earlier ones says anew. Pure functions."""

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from lake.spec import INSTANT
from lake.tables import RAW_BARS

NATURAL = ("symbol", "stamp")
"""What names a bar within one source, as the source writes it."""
VALUES = ("open", "high", "low", "close", "adj_close", "volume", "price_basis")
LEAST = timedelta(microseconds=1)


class Unstored(NamedTuple):
    """Rows of a delivery to store, and how many of them say what.

    Parameters
    ----------
    rows
        Rows in the columns of `raw_bars`.
    corrected
        Bars whose stored values differ.
    late
        Bars that a stored bar of the source is newer than, or as new as.
    doubled
        Rows that a later row of the same delivery contradicts or repeats; they are refused as duplicates.
    """

    rows: pl.DataFrame
    corrected: int
    late: int
    doubled: int


def unstored(delivery: pl.DataFrame, stored: pl.DataFrame, newest: datetime | None, now: datetime) -> Unstored:
    """Return the rows of a delivery that are new or differ from the newest stored row of the same bar.

    A bar is named by its symbol and stamp, and compared in every value as text. Of several rows for one bar the one
    known last counts, and of those known at once the last one.

    When a row is known depends on what is stored. A bar newer than every stored bar of the source is known when the
    source says, and so is every bar of a first load. Any other row became known by this delivery: a correction, a bar
    that was late, the history of a symbol that was added. It is known from `now`, as was
    observed, and never before the row it replaces.

    Parameters
    ----------
    delivery
        Rows in the columns of `raw_bars`, of one source.
    stored
        Stored rows of the source; those for the bars of the delivery suffice.
    newest
        Newest stored `event_time` of the source; None where nothing of it is stored.
    now
        The market's now.

    Examples
    --------
    >>> from datetime import timedelta
    >>> from lake.sources import as_received, tiny_market
    >>> rows = as_received(tiny_market(["AAA"], sessions=3, seed=1))
    >>> closes = rows["event_time"]
    >>> corrected = rows.with_columns(pl.when(pl.col("row") == 1).then(pl.lit("7")).otherwise("volume").alias("volume"))
    >>> found = unstored(corrected, rows.head(2), closes[1], closes[2] + timedelta(minutes=5))
    >>> found.rows["event_time"].to_list() == closes[1:].to_list(), found.corrected
    (True, 1)
    >>> (found.rows["known_time"] - closes[2]).dt.total_minutes().to_list()
    [5, 0]
    """
    last = delivery.sort("known_time", "row").unique(NATURAL, keep="last", maintain_order=True)
    before = stored.sort("known_time", "received_at", "row").unique(NATURAL, keep="last")
    compared = last.select(*NATURAL, *VALUES, pl.col("known_time").alias("last_known")).join(
        before.select(*NATURAL, *VALUES, pl.col("known_time").alias("stored_known")),
        on=NATURAL,
        how="left",
        nulls_equal=True,
        suffix="_stored",
    )
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_stored")) for name in VALUES)
    kept = compared.filter(pl.col("stored_known").is_null() | differs).select(*NATURAL, "last_known", "stored_known")
    is_late = pl.lit(value=False) if newest is None else pl.col("event_time") <= pl.lit(newest, dtype=INSTANT)
    from_now = pl.max_horizontal(
        pl.lit(now, dtype=INSTANT), "event_time", pl.col("stored_known").dt.offset_by(f"{LEAST.microseconds}us")
    )
    rows = (
        delivery.join(kept, on=NATURAL, how="inner", nulls_equal=True, maintain_order="left")
        .with_columns((is_late | pl.col("stored_known").is_not_null()).alias("is_told_now"))
        .filter(~pl.col("is_told_now") | (pl.col("known_time") == pl.col("last_known")))
        .with_columns(
            pl.when("is_told_now").then(from_now).otherwise("known_time").alias("known_time"),
            pl.when("is_told_now").then(pl.lit("observed")).otherwise("known_basis").alias("known_basis"),
        )
    )
    bars = rows.unique([*NATURAL, "known_time"])
    corrected = bars.filter(pl.col("stored_known").is_not_null()).height
    return Unstored(
        rows.select(RAW_BARS.names),
        corrected,
        bars.filter("is_told_now").height - corrected,
        rows.height - bars.height,
    )


def as_one_delivery(rows: pl.DataFrame, batch_id: str) -> tuple[str, pl.DataFrame]:
    """Return rows numbered and named as one delivery, under an id that is the same for the same rows only.

    A source that is asked the same again may answer something else, so the question alone does not name the answer.
    """
    content = rows.select(*NATURAL, *VALUES, "known_time").write_csv()
    name = f"{batch_id}:{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    return name, rows.with_columns(pl.lit(name).alias("batch_id"), pl.int_range(pl.len(), dtype=pl.Int64).alias("row"))
