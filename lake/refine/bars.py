"""Raw rows to clean bars: parse strictly, refuse with a reason, adjust row by row. Pure functions."""

from datetime import timedelta
from functools import cache
from typing import NamedTuple

import polars as pl

from lake import calendars
from lake.refine import vintages
from lake.refine.digits import EXACT
from lake.refine.refusals import NOT_RECEIVED, to_quarantine
from lake.spec import INSTANT
from lake.tables import BARS, RAW_BARS

RANGE = ("open", "high", "low")
"""Prices that a bar can do without: zero or missing, they are not known."""
PRICES = (*RANGE, "close", "adj_close")
NUMBERS = (*PRICES, "volume")
BASES = RAW_BARS.column("price_basis").allowed
AS_RECEIVED = "received_symbol"
"""Column with the name that a row came with, where it is not the symbol that the row is judged as."""
ZONE = r"(?:Z|[+-]\d\d:?\d\d)$"


class Refined(NamedTuple):
    """What became of one or more deliveries.

    Each raw row is in exactly one of `bars` and `quarantine`, save two kinds: one that repeats a bar on another basis
    is in neither, one that was held back until something explained it is in both.
    """

    bars: pl.DataFrame
    quarantine: pl.DataFrame
    judged: pl.DataFrame


def refine_bars(
    raw: pl.DataFrame, judged_before: pl.DataFrame | None = None, *, calendar: str = calendars.VENUE
) -> Refined:
    """Split raw rows into clean bars and refused rows.

    A bar depends on its own raw row alone, so any deliveries in any order give the same bars, with two exceptions.
    One is a duplicate: of several good rows for one symbol and close that claim to have been known at the same time,
    the delivery received first counts, and in one delivery the last row. A later `known_time` makes a restatement, and
    that is a bar of its own. The other is a symbol of which closes were told in two ways, or jump: its rows are judged
    together (`lake.refine.vintages`), and all of them must be there.

    Parameters
    ----------
    raw
        Rows in the columns of `raw_bars`.
    judged_before
        Rows of earlier deliveries for the same closes. They identify duplicates, and the bars of a close that `raw`
        speaks of are given again whole: a row that repeated what was known may now say something new. They were
        refused when they came, if at all, so no refusal is given again. Rows of symbols that must be judged together
        are not judged so here: ask `unsettled_symbols` first.
    calendar
        Venue whose sessions the bars are of.

    Returns
    -------
    Refined
        `bars` on one basis: ``factor = adj_close / close`` multiplies open, high, low and close, and divides volume,
        so that close x volume is the money that was traded. A close-only bar has nulls for what its source does not
        say. `close_traded` is the close as it was traded, where the source tells it or the splits since. `known_basis`
        is that of the row which made the bar known as it is. `quarantine` holds each refused row, as received, with the
        first rule it breaks (see `rules`), or `lake.refine.vintages.UNEXPLAINED`. `judged` holds all rows
        as `judge` gives them, with the factors that bring them to one basis, for `lake.refine.actions.find_actions`.
    """
    if judged_before is None:
        judged = judge(parse(raw), calendar)
        good, bad = judged.filter(pl.col("reason").is_null()), judged.drop_nulls("reason")
        bars = _adjust(good)
        together = vintages.unsettled(bars)
        if not together:
            return Refined(bars, _refused(bad), judged)
        return _refine_together(judged, bars, together)
    rows = pl.concat([judged_before, raw]).unique(["batch_id", "row"], maintain_order=True)
    judged = judge(parse(rows), calendar)
    good = judged.filter(pl.col("reason").is_null())
    fresh = judged.join(raw, on=["batch_id", "row"], how="semi")
    bars = good.join(fresh.filter(pl.col("reason").is_null()), on=["symbol", "at"], how="semi")
    return Refined(_adjust(bars), _refused(fresh.drop_nulls("reason")), judged)


def _refine_together(judged: pl.DataFrame, bars: pl.DataFrame, symbols: list[str]) -> Refined:
    """Refine rows of which those of some symbols must be judged together."""
    is_together = pl.col("symbol").is_in(symbols)
    is_chained = is_together.fill_null(value=False) & pl.col("reason").is_null()
    chained = vintages.chain(judged.filter(is_chained))
    good, held = chained.filter(pl.col("reason").is_null()), chained.drop_nulls("reason")
    whole = pl.concat([judged.filter(~is_chained), chained])
    told = pl.concat([bars.filter(~is_together), _adjust(good)]).sort("symbol", "event_time", "known_time")
    refused = pl.concat([judged.drop_nulls("reason"), held])
    return Refined(told, _refused(refused), whole)


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


def judge(parsed: pl.DataFrame, calendar: str = calendars.VENUE) -> pl.DataFrame:
    """Add ``reason``: the first rule a row breaks, or null for a good row; and the basis that every row has alone."""
    first_broken = pl.coalesce(
        [pl.when(broken.fill_null(value=False)).then(pl.lit(name)) for name, broken in rules(calendar).items()]
    )
    judged = parsed.with_columns(
        first_broken.alias("reason"), pl.lit(1.0).alias("scale"), pl.lit(1.0).alias("close_scale")
    )
    copies = _copies(judged)
    is_copy = pl.int_range(pl.len()).is_in(copies.implode())
    return (
        judged
        if copies.is_empty()
        else judged.with_columns(pl.when(is_copy).then(pl.lit("duplicate")).otherwise("reason").alias("reason"))
    )


def _copies(judged: pl.DataFrame) -> pl.Series:
    """Return the positions of good rows for which another good row of the same symbol, close and known time counts."""
    told = ["symbol", "at", "known_time"]
    order = ["received_at", "batch_id", "row"]
    place = pl.int_range(pl.len()).alias("place")
    narrow = judged.lazy().select(*told, *order, place, pl.struct(told).is_duplicated().alias("again"), "reason")
    again = narrow.filter(pl.col("again"), pl.col("reason").is_null()).collect()
    # Of one delivery the last row counts, so it comes first.
    again = again.sort(order, descending=[False, False, True], maintain_order=True)
    return again.filter(pl.int_range(pl.len()).over(told) > 0)["place"]


@cache
def rules(calendar: str = calendars.VENUE) -> dict[str, pl.Expr]:
    """Return what a raw row must not be, by the reason given for refusing it; from what a row is to what it says.

    Parameters
    ----------
    calendar
        Venue whose sessions the bars are of, or the grid of bars that are shorter.
    """
    value = {name: pl.col(f"{name}_value") for name in NUMBERS}
    needed = pl.col("price_basis") != "adjusted_close_only"
    day = timedelta(days=1)
    is_in_calendar = pl.col("at").dt.date().is_between(calendars.FIRST_SESSION - day, calendars.LAST_SESSION + day)
    known = {name: pl.when(value[name] != 0).then(value[name]) for name in RANGE}
    return {
        "null_key": (pl.col("symbol").fill_null("").str.strip_chars() == "") | pl.col("stamp").is_null(),
        "time_without_zone": ~pl.col("stamp").str.contains(ZONE),
        "unreadable_time": pl.col("at").is_null(),
        "outside_the_calendar": ~is_in_calendar,
        "not_a_session_close": ~_is_close(calendar),
        "known_before_it_happened": pl.col("known_time") < pl.col("at"),
        "unknown_price_basis": ~pl.col("price_basis").is_in(BASES),
        "unreadable_number": pl.any_horizontal(
            [pl.col(name).is_not_null() & value[name].is_null() for name in NUMBERS]
        ),
        "not_a_number": pl.any_horizontal([~value[name].is_finite() for name in NUMBERS]),
        "missing_value": value["adj_close"].is_null()
        | (needed & pl.any_horizontal([value[name].is_null() for name in ("close", "volume")])),
        "price_not_positive": pl.any_horizontal(
            [*(value[name] < 0 for name in RANGE), *(value[name] <= 0 for name in ("close", "adj_close"))]
        ),
        "negative_volume": value["volume"] < 0,
        "high_below_low": known["high"] < known["low"] * (1 - EXACT),
        "price_outside_range": pl.any_horizontal(
            [
                (price < known["low"] * (1 - EXACT)) | (price > known["high"] * (1 + EXACT))
                for price in (known["open"], value["close"])
            ]
        ),
    }


def _is_close(grid: str) -> pl.Expr:
    """Whether ``at`` is the close of a bar. Those of minutes are too many to be listed before they are asked for."""
    if calendars.is_daily(grid):
        return pl.col("at").is_in(calendars.closes(grid)["event_time"].implode())
    return pl.col("at").map_batches(lambda at: calendars.is_close(at, grid), return_dtype=pl.Boolean)


def _adjust(good: pl.DataFrame) -> pl.DataFrame:
    is_full = (pl.col("price_basis") != "adjusted_close_only") & pl.all_horizontal(
        [(pl.col(f"{name}_value") > 0).fill_null(value=False) for name in RANGE]
    )
    first, high, low, close = (pl.col(f"{name}_value") for name in (*RANGE, "close"))
    inside = {"open": first, "high": pl.max_horizontal(high, first, close), "low": pl.min_horizontal(low, first, close)}
    adjusted_close = pl.col("adj_close_value") * pl.col("scale")
    # Relative to close first: equal prices stay equal and ordered ones ordered, to the last bit.
    adjusted = [pl.when(is_full).then(adjusted_close * (price / close)).alias(name) for name, price in inside.items()]
    return (
        good.select(
            "symbol",
            pl.col("at").alias("event_time"),
            "known_time",
            *adjusted,
            adjusted_close.alias("close"),
            (pl.col("volume_value") * (close / adjusted_close)).alias("volume"),
            close.alias("close_unadjusted"),
            pl.col("volume_value").alias("volume_unadjusted"),
            pl.when(is_full).then(pl.lit("full")).otherwise(pl.lit("close_only")).alias("quality"),
            "source",
            "batch_id",
            "price_basis",
            _traded(close).alias("close_traded"),
            "known_basis",
        )
        .sort("symbol", "event_time", "known_time")
        .select(BARS.names)
    )


def _traded(close: pl.Expr) -> pl.Expr:
    """Close at which shares changed hands: stated as such, or taken back from the shares of later splits.

    A split that came after the session is known to the delivery, not to the session. The price is the session's all the
    same: it is what anybody could read there on that day, so nothing of the future is told by it.
    """
    later = pl.col("later_splits").cast(pl.Float64, strict=False)
    return (
        pl.when(pl.col("price_basis") == "as_traded")
        .then(close)
        .when(later.is_finite() & (later > 0))
        .then(close * later)
    )


def refused_as(rows: pl.DataFrame, reason: str) -> pl.DataFrame:
    """Return raw rows as rows of `quarantine`, all for one reason."""
    return _refused(rows.with_columns(pl.lit(reason).alias("reason")))


def _refused(bad: pl.DataFrame) -> pl.DataFrame:
    ours = {*NOT_RECEIVED, "later_splits", "known_basis"}
    symbol = pl.col(AS_RECEIVED if AS_RECEIVED in bad.columns else "symbol").alias("symbol")
    content = [symbol if name == "symbol" else pl.col(name) for name in RAW_BARS.names if name not in ours]
    return to_quarantine(bad, BARS, content)
