"""Raw rows to clean bars: parse strictly, refuse with a reason, adjust row by row. Pure functions."""

from functools import cache
from typing import NamedTuple

import polars as pl

from lake import calendars
from lake.spec import INSTANT
from lake.tables import BARS, QUARANTINE, RAW_BARS

PRICES = ("open", "high", "low", "close", "adj_close")
NUMBERS = (*PRICES, "volume")
BASES = RAW_BARS.column("price_basis").allowed
ZONE = r"(?:Z|[+-]\d\d:?\d\d)$"


class Refined(NamedTuple):
    """What became of one or more deliveries: each raw row is in exactly one of `bars` and `quarantine`."""

    bars: pl.DataFrame
    quarantine: pl.DataFrame
    judged: pl.DataFrame


def refine_bars(raw: pl.DataFrame, judged_before: pl.DataFrame | None = None) -> Refined:
    """Split raw rows into clean bars and refused rows.

    A bar depends on its own raw row alone, so any deliveries in any order give the same bars. The one exception is
    a duplicate: of several good rows for one symbol and close that claim to have been known at the same time, the
    first received is kept. A later `known_time` makes a restatement, and that is a bar of its own.

    Parameters
    ----------
    raw
        Rows in the columns of `raw_bars`.
    judged_before
        Rows of earlier deliveries for the same closes. They identify duplicates, and the bars of a close that `raw`
        speaks of are given again whole: a row that repeated what was known may now say something new. They were
        refused when they came, if at all, so no refusal is given again.

    Returns
    -------
    Refined
        `bars` on one basis: ``factor = adj_close / close`` multiplies open, high, low and close, and divides volume,
        so that close x volume is the money that was traded. A close-only bar has nulls for what its source does not
        say. `quarantine` holds each refused row, as received, with the first rule it breaks (see `rules`). `judged`
        holds all rows as `judge` gives them, for `lake.refine.actions.find_actions`.
    """
    if judged_before is None:
        judged = judge(parse(raw))
        good, bad = judged.filter(pl.col("reason").is_null()), judged.drop_nulls("reason")
        return Refined(_adjust(good), _refused(bad), judged)
    rows = pl.concat([judged_before, raw]).unique(["batch_id", "row"], maintain_order=True)
    judged = judge(parse(rows))
    good = judged.filter(pl.col("reason").is_null())
    fresh = judged.join(raw, on=["batch_id", "row"], how="semi")
    bars = good.join(fresh.filter(pl.col("reason").is_null()), on=["symbol", "at"], how="semi")
    return Refined(_adjust(bars), _refused(fresh.drop_nulls("reason")), judged)


def parse(raw: pl.DataFrame) -> pl.DataFrame:
    """Add ``<name>_value`` (number or null) per number and ``at`` (UTC instant or null) to rows of text."""
    return raw.with_columns(
        *(pl.col(name).cast(pl.Float64, strict=False).alias(f"{name}_value") for name in NUMBERS),
        pl.when(pl.col("stamp").str.contains(ZONE))
        .then(pl.col("stamp"))
        .str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
        .cast(INSTANT)
        .alias("at"),
    )


def judge(parsed: pl.DataFrame) -> pl.DataFrame:
    """Add ``reason``: the first rule a row breaks, or null for a good row."""
    first_broken = pl.coalesce(
        [pl.when(broken.fill_null(value=False)).then(pl.lit(name)) for name, broken in rules().items()]
    )
    judged = parsed.sort("received_at", "batch_id", "row", maintain_order=True).with_columns(
        first_broken.alias("reason")
    )
    copies = pl.int_range(pl.len()).over("symbol", "at", "known_time", pl.col("reason").is_null())
    return judged.with_columns(
        pl.when(pl.col("reason").is_null() & (copies > 0)).then(pl.lit("duplicate")).otherwise("reason").alias("reason")
    )


@cache
def rules() -> dict[str, pl.Expr]:
    """Return what a raw row must not be, by the reason given for refusing it; from what a row is to what it says."""
    value = {name: pl.col(f"{name}_value") for name in NUMBERS}
    is_full = pl.col("price_basis") != "adjusted_close_only"
    is_session_close = pl.col("at").is_in(calendars.closes()["event_time"].implode())
    low, high = value["low"], value["high"]
    return {
        "null_key": (pl.col("symbol").fill_null("").str.strip_chars() == "") | pl.col("stamp").is_null(),
        "time_without_zone": ~pl.col("stamp").str.contains(ZONE),
        "unreadable_time": pl.col("at").is_null(),
        "not_a_session_close": ~is_session_close,
        "known_before_it_happened": pl.col("known_time") < pl.col("at"),
        "unknown_price_basis": ~pl.col("price_basis").is_in(BASES),
        "unreadable_number": pl.any_horizontal(
            [pl.col(name).is_not_null() & value[name].is_null() for name in NUMBERS]
        ),
        "not_a_number": pl.any_horizontal([~value[name].is_finite() for name in NUMBERS]),
        "missing_value": value["adj_close"].is_null()
        | (is_full & pl.any_horizontal([value[name].is_null() for name in NUMBERS])),
        "price_not_positive": pl.any_horizontal([value[name] <= 0 for name in PRICES]),
        "negative_volume": value["volume"] < 0,
        "high_below_low": value["high"] < value["low"],
        "price_outside_range": pl.any_horizontal(
            [(value[name] < low) | (value[name] > high) for name in ("open", "close")]
        ),
    }


def _adjust(good: pl.DataFrame) -> pl.DataFrame:
    # Relative to close first: equal prices stay equal and ordered ones ordered, to the last bit.
    adjusted = [
        pl.col("adj_close_value") * (pl.col(f"{n}_value") / pl.col("close_value")) for n in ("open", "high", "low")
    ]
    is_full = pl.col("price_basis") != "adjusted_close_only"
    return (
        good.select(
            "symbol",
            pl.col("at").alias("event_time"),
            "known_time",
            *(price.alias(name) for name, price in zip(("open", "high", "low"), adjusted, strict=True)),
            pl.col("adj_close_value").alias("close"),
            (pl.col("volume_value") * (pl.col("close_value") / pl.col("adj_close_value"))).alias("volume"),
            pl.col("close_value").alias("close_unadjusted"),
            pl.col("volume_value").alias("volume_unadjusted"),
            pl.when(is_full).then(pl.lit("full")).otherwise(pl.lit("close_only")).alias("quality"),
            "source",
            "batch_id",
        )
        .sort("symbol", "event_time", "known_time")
        .select(BARS.names)
    )


def _refused(bad: pl.DataFrame) -> pl.DataFrame:
    ours = {"received_at", "event_time", "known_time"}
    content = pl.struct([name for name in RAW_BARS.names if name not in ours])
    return bad.select(
        pl.lit("bars").alias("table"),
        "batch_id",
        "row",
        "reason",
        content.struct.json_encode().alias("content"),
        "event_time",
        "known_time",
    ).select(QUARANTINE.names)
