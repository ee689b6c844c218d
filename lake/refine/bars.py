"""Raw rows to clean bars: parse strictly, refuse with a reason, put each symbol on one adjusted basis. Pure functions."""

from typing import NamedTuple

import polars as pl

from lake import calendars
from lake.spec import INSTANT
from lake.tables import ACTIONS, BARS, QUARANTINE, RAW_BARS

PRICES = ("open", "high", "low", "close", "adj_close")
SPLIT_JUMP = 1.3
"""A factor that changes by more than this overnight is a split; no ordinary dividend does."""
FACTOR_NOISE = 1e-4
"""Relative change of the adjustment factor that rounding of printed prices can cause; a dividend changes it by more."""
HALF_CENT = 0.011
"""Tolerance of the range rules: sources round open, high, low and close separately, to cents."""


class Refined(NamedTuple):
    """What became of one or more deliveries: each raw row is in exactly one of `bars` and `quarantine`."""

    bars: pl.DataFrame
    quarantine: pl.DataFrame


def refine_bars(raw: pl.DataFrame) -> Refined:
    """Split raw rows into clean bars and refused rows.

    Parameters
    ----------
    raw
        Rows in the columns of `raw_bars`.

    Returns
    -------
    Refined
        `bars` on one basis: ``factor = adj_close / close`` multiplies open, high, low and close; volume is divided by
        the splits so far, which puts it on the basis of the symbol's first bar. A close-only bar has nulls for what its
        source does not say. Pass every raw row of a symbol: the splits so far are read off its own bars. `quarantine` holds each refused row with the first rule it breaks.
    """
    parsed = _parse(raw)
    reasons = _first_reason(parsed)
    judged = parsed.with_columns(reasons.alias("reason"))
    judged = judged.with_columns(
        pl.when(pl.col("reason").is_null() & _is_repeated(judged)).then(pl.lit("duplicate")).otherwise("reason").alias("reason")
    )
    good = judged.filter(pl.col("reason").is_null())
    return Refined(_adjust(good), _refused(raw, judged.filter(pl.col("reason").is_not_null())))


def find_actions(bars: pl.DataFrame) -> pl.DataFrame:
    """Splits and dividends, read off the jumps of the adjustment factor.

    A factor that rises overnight by more than `SPLIT_JUMP` is a split of that ratio; a smaller rise is a dividend of
    ``previous close x (1 - 1 / rise)`` per share (CRSP's definition of the adjustment factor, solved for the amount).

    Parameters
    ----------
    bars
        Clean bars; close-only ones say nothing about actions and are passed over.
    """
    priced = bars.filter(pl.col("close_unadjusted").is_not_null()).sort("symbol", "event_time")
    factor = pl.col("close") / pl.col("close_unadjusted")
    rise = (factor / factor.shift(1)).over("symbol")
    before = pl.col("close_unadjusted").shift(1).over("symbol")
    is_split = (pl.col("rise") > SPLIT_JUMP) | (pl.col("rise") < 1 / SPLIT_JUMP)
    return (
        priced.with_columns(rise.alias("rise"), before.alias("before"))
        .filter((pl.col("rise") - 1).abs() > FACTOR_NOISE)
        .with_columns(
            pl.when(is_split).then(pl.lit("split")).otherwise(pl.lit("dividend")).alias("kind"),
            pl.when(is_split).then("rise").otherwise(1.0).alias("ratio"),
            pl.when(is_split).then(None).otherwise(pl.col("before") * (1 - 1 / pl.col("rise"))).alias("amount"),
        )
        .select(ACTIONS.names)
    )


def _parse(raw: pl.DataFrame) -> pl.DataFrame:
    numbers = [pl.col(name).cast(pl.Float64, strict=False).alias(f"{name}_value") for name in (*PRICES, "volume")]
    has_zone = pl.col("stamp").str.contains(r"(Z|[+-]\d\d:?\d\d)$")
    return raw.with_columns(
        *numbers,
        has_zone.alias("has_zone"),
        pl.when(has_zone)
        .then(pl.col("stamp"))
        .str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
        .cast(INSTANT)
        .alias("at"),
    )


def _first_reason(parsed: pl.DataFrame) -> pl.Expr:
    """Return the first rule a row breaks, or null; rules go from what a row is to what it says."""
    values = {name: pl.col(f"{name}_value") for name in (*PRICES, "volume")}
    needed = pl.when(pl.col("price_basis") == "adjusted_close_only").then(pl.lit(False)).otherwise(pl.lit(True))  # noqa: FBT003
    unreadable = pl.any_horizontal([pl.col(name).is_not_null() & values[name].is_null() for name in values])
    not_finite = pl.any_horizontal([~values[name].is_finite() for name in values])
    low, high = values["low"] - HALF_CENT, values["high"] + HALF_CENT
    rules = {
        "null_key": pl.col("symbol").is_null() | pl.col("stamp").is_null(),
        "time_without_zone": ~pl.col("has_zone"),
        "unreadable_time": pl.col("at").is_null(),
        "not_a_session_close": ~pl.col("at").is_in(calendars.closes()["event_time"].implode()),
        "unreadable_number": unreadable,
        "not_a_number": not_finite.fill_null(value=False),
        "missing_price": values["adj_close"].is_null()
        | (needed & pl.any_horizontal([values[name].is_null() for name in ("open", "high", "low", "close", "volume")])),
        "price_not_positive": pl.any_horizontal([values[name] <= 0 for name in PRICES]).fill_null(value=False),
        "negative_volume": (values["volume"] < 0).fill_null(value=False),
        "high_below_low": (values["high"] < values["low"]).fill_null(value=False),
        "price_outside_range": pl.any_horizontal(
            [~values[name].is_between(low, high) for name in ("open", "close")]
        ).fill_null(value=False),
    }
    return pl.coalesce([pl.when(broken).then(pl.lit(reason)) for reason, broken in rules.items()])


def _is_repeated(judged: pl.DataFrame) -> pl.Expr:
    """Mark the second and later good rows of one symbol and instant that were known at the same time."""
    position = pl.int_range(pl.len()).over(["symbol", "at", "known_time", pl.col("reason").is_null()])
    return position > 0


def _adjust(good: pl.DataFrame) -> pl.DataFrame:
    factor = pl.col("adj_close_value") / pl.col("close_value")
    rise = (factor / factor.shift(1)).over("symbol", order_by="at")
    is_split = ((rise > SPLIT_JUMP) | (rise < 1 / SPLIT_JUMP)).fill_null(value=False)
    # Splits up to and with a bar: volume is put on the basis of the first bar, so a later split restates nothing.
    shares = pl.when(is_split & (pl.col("price_basis") == "as_traded")).then(rise).otherwise(1.0)
    split_factor = shares.cum_prod().over("symbol", order_by="at")
    is_full = pl.col("price_basis") != "adjusted_close_only"
    return (
        good.with_columns(factor.alias("factor"), split_factor.alias("split_factor"))
        .select(
            "symbol",
            pl.col("at").alias("event_time"),
            "known_time",
            *((pl.col(f"{name}_value") * pl.col("factor")).alias(name) for name in ("open", "high", "low")),
            pl.col("adj_close_value").alias("close"),
            (pl.col("volume_value") / pl.col("split_factor")).alias("volume"),
            pl.col("close_value").alias("close_unadjusted"),
            pl.col("volume_value").alias("volume_unadjusted"),
            pl.when(is_full).then(pl.lit("full")).otherwise(pl.lit("close_only")).alias("quality"),
            "source",
            "batch_id",
        )
        .sort("symbol", "event_time")
        .select(BARS.names)
    )


def _refused(raw: pl.DataFrame, bad: pl.DataFrame) -> pl.DataFrame:
    content = pl.struct([name for name in RAW_BARS.names if name not in {"received_at", "event_time", "known_time"}])
    return bad.select(
        pl.lit("bars").alias("table"),
        "batch_id",
        "row",
        "reason",
        content.struct.json_encode().alias("content"),
        "event_time",
        "known_time",
    ).select(QUARANTINE.names)
