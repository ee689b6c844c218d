"""Splits and dividends, found from the jumps of each symbol's adjustment factor. Pure functions."""

from datetime import datetime

import polars as pl

from lake.spec import INSTANT
from lake.tables import ACTIONS

SPLIT_JUMP = 1.3
"""A factor that changes by more than this overnight is a split; no ordinary dividend does."""
FACTOR_NOISE = 1e-4
"""Relative change of the factor that rounding of printed prices can cause; a dividend changes it by more."""


def find_actions(judged: pl.DataFrame) -> pl.DataFrame:
    """Return every split and dividend that the rows imply.

    The factor ``adj_close / close`` rises overnight by ``rise``. A rise beyond `SPLIT_JUMP` (or a fall beyond its
    inverse) is a split of that ratio. A smaller one is a dividend, and what it was worth depends on how the source
    defines its factor:

    - prices as traded (the WIKI convention): ``rise = 1 + dividend / close`` on the ex-date;
    - prices adjusted for splits (the Yahoo and CRSP convention): ``1 / rise = 1 - dividend / close`` on the day before.

    A split and a dividend on one day show as one split.

    Parameters
    ----------
    judged
        Every raw row of a symbol as `lake.refine.bars.judge` gives it. Refused rows and close-only rows are passed
        over; of several versions of one bar the newest known counts.

    Returns
    -------
    pl.DataFrame
        Rows of `actions`, each known when both closes it compares were; amounts in the currency and share basis of
        the unadjusted close.
    """
    is_usable = pl.col("reason").is_null() & (pl.col("price_basis") != "adjusted_close_only")
    bars = judged.filter(is_usable).sort("symbol", "at", "known_time")
    bars = bars.unique(["symbol", "at"], keep="last", maintain_order=True).with_columns(
        (pl.col("adj_close_value") / pl.col("close_value")).alias("factor")
    )
    rise = pl.col("factor") / pl.col("factor").shift(1)
    before = pl.col("close_value").shift(1)
    amount = (
        pl.when(pl.col("price_basis") == "as_traded")
        .then(pl.col("close_value") * (rise - 1))
        .otherwise(before * (1 - 1 / rise))
    )
    known = pl.max_horizontal(pl.col("known_time"), pl.col("known_time").shift(1))
    is_split = (pl.col("rise") > SPLIT_JUMP) | (pl.col("rise") < 1 / SPLIT_JUMP)
    return (
        bars.with_columns(
            rise.over("symbol").alias("rise"), amount.over("symbol").alias("worth"), known.over("symbol").alias("known")
        )
        .filter((pl.col("rise") - 1).abs() > FACTOR_NOISE)
        .select(
            "symbol",
            pl.col("at").alias("event_time"),
            pl.col("known").alias("known_time"),
            pl.when(is_split).then(pl.lit("split")).otherwise(pl.lit("dividend")).alias("kind"),
            pl.when(is_split).then("rise").otherwise(1.0).alias("ratio"),
            pl.when(is_split).then(None).otherwise("worth").alias("amount"),
            "source",
        )
        .select(ACTIONS.names)
    )


def withdraw(stored: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Return a row of no effect (ratio 1, amount 0) for each stored action that the rows no longer imply.

    Parameters
    ----------
    stored, found
        Actions as stored and as the rows imply now, the latter with what is known by then.
    """
    return stored.join(found, on=list(ACTIONS.key), how="anti").with_columns(
        pl.lit(1.0).alias("ratio"), pl.when(pl.col("kind") == "dividend").then(0.0).alias("amount")
    )


def restate(stored: pl.DataFrame, found: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return the actions that differ from what is stored, each known when it could be.

    A bar that arrives late, though it claims to have been known early, can change a stored action. The change is then
    known from now on, not from before the stored row was known.

    Parameters
    ----------
    stored
        Actions as known now.
    found
        What the rows imply now, withdrawn ones among it.
    """
    values = ["ratio", "amount"]
    old = stored.select(
        *ACTIONS.key, pl.col("known_time").alias("stored_known"), *(pl.col(n).alias(f"old_{n}") for n in values)
    )
    both = found.join(old, on=list(ACTIONS.key), how="left", maintain_order="left")
    is_same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"old_{name}")) for name in values)
    is_late = pl.col("known_time") <= pl.col("stored_known")
    from_now_on = pl.max_horizontal(pl.lit(now, dtype=INSTANT), pl.col("stored_known").dt.offset_by("1us"))
    return (
        both.filter(pl.col("stored_known").is_null() | ~is_same)
        .with_columns(pl.when(is_late).then(from_now_on).otherwise("known_time").alias("known_time"))
        .select(ACTIONS.names)
    )
