"""`raw_macro` to `macro`: every raw value becomes a value, repeats one, or is refused with its reason."""

from typing import NamedTuple

import polars as pl

from lake.refine.refusals import NOT_RECEIVED, to_quarantine
from lake.tables import MACRO, RAW_MACRO


class RefinedMacro(NamedTuple):
    """What became of the rows of one or more deliveries; each is in exactly one of the two."""

    macro: pl.DataFrame
    quarantine: pl.DataFrame


def refine_macro(raw: pl.DataFrame) -> RefinedMacro:
    """Split raw values into clean ones and refused ones.

    Parameters
    ----------
    raw
        Rows in the columns of `raw_macro`.

    Returns
    -------
    RefinedMacro
        `macro`: one row per value and known time, in the columns of the table; of several rows of one series, period
        and known time the first received counts. `quarantine`: each refused row with the first rule it breaks.
    """
    number = pl.col("value").cast(pl.Float64, strict=False)
    judged = raw.sort("received_at", "batch_id", "row").with_columns(
        number.alias("number"),
        pl.col("period").str.to_date("%Y-%m-%d", strict=False).alias("day"),
        pl.col("vintage").str.to_date("%Y-%m-%d", strict=False).alias("vintage_date"),
    )
    rules = {
        "null_key": pl.col("series").str.strip_chars() == "",
        "unreadable_time": pl.col("day").is_null()
        | (pl.col("vintage").is_not_null() & pl.col("vintage_date").is_null()),
        "known_before_it_happened": pl.col("known_time") < pl.col("event_time"),
        "unreadable_number": pl.col("value").is_not_null() & pl.col("number").is_null(),
        "not_a_number": ~pl.col("number").is_finite(),
    }
    broken = [pl.when(rule.fill_null(value=False)).then(pl.lit(name)) for name, rule in rules.items()]
    judged = judged.with_columns(pl.coalesce(broken).alias("reason"))
    good = judged.filter(pl.col("reason").is_null()).select(
        "series",
        "event_time",
        "known_time",
        pl.col("number").alias("value"),
        pl.col("day").alias("period"),
        "vintage_date",
        "known_basis",
        "source",
        "batch_id",
    )
    good = good.unique(["series", "event_time", "known_time"], keep="first", maintain_order=True)
    return RefinedMacro(good.select(MACRO.names), _refused(judged.drop_nulls("reason")))


def _refused(bad: pl.DataFrame) -> pl.DataFrame:
    return to_quarantine(bad, MACRO, [name for name in RAW_MACRO.names if name not in NOT_RECEIVED])
