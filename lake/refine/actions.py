"""Splits and dividends, found from the jumps of each symbol's adjustment factor. Pure functions."""

from datetime import datetime

import polars as pl

from lake.refine.digits import is_split, noise
from lake.spec import INSTANT
from lake.tables import ACTIONS

SPLIT_JUMP = 1.3
"""A factor that rises by more than this overnight is a split; no ordinary dividend does."""
FACTOR_NOISE = 1e-4
"""Least relative change of the factor that counts; rounding of printed prices can cause more (`lake.refine.digits`)."""


def find_actions(judged: pl.DataFrame) -> pl.DataFrame:
    """Return every split and dividend that the rows imply.

    The factor ``adj_close / close`` rises overnight by ``rise``, where it changes by more than the printed digits
    explain. A rise beyond `SPLIT_JUMP` is a split of that ratio, and so is any fall, which no dividend causes. Where
    prices are as traded, a small split such as a stock dividend of 21:20 is told by its ratio. Any other rise is a
    dividend, and what it was worth depends on how the source defines its factor:

    - prices as traded (the WIKI convention): ``rise = 1 + dividend / close`` on the ex-date;
    - prices adjusted for splits (the Yahoo and CRSP convention): ``1 / rise = 1 - dividend / close`` on the day before.

    A split and a dividend on one day show as one split. Where a symbol's prices go on in another basis, e.g. in another
    file, the factors on both sides are not compared. A history that the source re-based counts on the basis of its
    first delivery (`lake.refine.vintages`), so that re-basing is no action.

    Parameters
    ----------
    judged
        Every raw row of a symbol as `lake.refine.refine_bars` gives it. Refused rows and close-only rows are passed
        over; of several versions of one bar the newest known counts.

    Returns
    -------
    pl.DataFrame
        Rows of `actions`, each known when both closes it compares were; amounts in the currency and share basis of
        the unadjusted close.
    """
    is_usable = pl.col("reason").is_null() & (pl.col("price_basis") != "adjusted_close_only")
    factor = pl.col("adj_close_value") * pl.col("scale") / (pl.col("close_value") * pl.col("close_scale"))
    place = pl.int_range(pl.len()).alias("place")
    narrow = judged.select("symbol", "at", "known_time", "price_basis", factor.alias("factor"), place)
    bars = narrow.filter(judged.select(is_usable).to_series()).sort("symbol", "at", "known_time")
    is_newest = (pl.col("symbol") != pl.col("symbol").shift(-1)) | (pl.col("at") != pl.col("at").shift(-1))
    bars = bars.filter(is_newest.fill_null(value=True))
    is_later = pl.all_horizontal([pl.col(name) == pl.col(name).shift(1) for name in ("symbol", "price_basis")])
    rise = pl.when(is_later).then(pl.col("factor") / pl.col("factor").shift(1))
    moved = bars.with_columns(
        rise.alias("rise"), ((rise - 1).abs() > FACTOR_NOISE).fill_null(value=False).alias("moves")
    )
    pairs = moved.filter(pl.col("moves") | pl.col("moves").shift(-1))
    others = [name for name in judged.columns if name not in pairs.columns]
    pairs = pl.concat([pairs, judged[pairs["place"]].select(others)], how="horizontal")
    pairs = pairs.with_columns(noise().alias("noise"))
    error = pl.col("noise") + pl.col("noise").shift(1)
    before = (pl.col("close_value") * pl.col("close_scale")).shift(1) / pl.col("close_scale")
    is_as_traded = pl.col("price_basis") == "as_traded"
    amount = (
        pl.when(is_as_traded)
        .then(pl.col("close_value") * (pl.col("rise") - 1))
        .otherwise(before * (1 - 1 / pl.col("rise")))
    )
    found = pairs.with_columns(
        amount.alias("worth"),
        pl.max_horizontal(error, pl.lit(FACTOR_NOISE)).alias("error"),
        pl.max_horizontal(pl.col("known_time"), pl.col("known_time").shift(1)).alias("known"),
    ).filter(pl.col("moves"), (pl.col("rise") - 1).abs() > pl.col("error"))
    has_split_ratio = pl.Series(is_split(found["rise"].to_numpy(), found["error"].to_numpy()), dtype=pl.Boolean)
    kind = (pl.col("rise") > SPLIT_JUMP) | (pl.col("rise") < 1) | (is_as_traded & has_split_ratio)
    return found.with_columns(kind.alias("is_split")).select(
        "symbol",
        pl.col("at").alias("event_time"),
        pl.col("known").alias("known_time"),
        pl.when("is_split").then(pl.lit("split")).otherwise(pl.lit("dividend")).alias("kind"),
        pl.when("is_split").then("rise").otherwise(1.0).alias("ratio"),
        pl.when("is_split").then(None).otherwise("worth").alias("amount"),
        "source",
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
