"""Coverage of symbols, derived from bars: where it begins, ends and resumes. Pure functions."""

from datetime import datetime, timedelta

import polars as pl

from lake import calendars
from lake.market import Market
from lake.tables import UNIVERSE

SOONEST = timedelta(microseconds=1)


def coverage_rows(bars: pl.DataFrame, stored: pl.DataFrame, newest: datetime, market: Market) -> pl.DataFrame:
    """Return the rows of `universe` that bars imply.

    Coverage begins with the first bar, known when that bar was. It ends with the first of `market.delisted_after`
    sessions without a bar, known when the last of them had closed; whether the instrument was delisted is not known
    from that. It resumes with the next bar.

    Parameters
    ----------
    bars
        ``symbol, event_time, known_time, source``: of each symbol its new bars, and the one before them where there is
        one and the gap between them may matter.
    stored
        Newest coverage row of each symbol, see `newest_coverage`.
    newest
        Newest close that the market has a bar of.
    """
    places = calendars.numbered_closes(bars["event_time"].min(), newest, market.grid)
    closes = places["event_time"]
    first_known = bars.group_by("symbol", "event_time").agg(pl.col("known_time").min(), pl.col("source").last())
    placed = first_known.join(places, on="event_time").sort("symbol", "event_time")
    before = pl.col("place").shift(1).over("symbol")
    placed = placed.with_columns(before.alias("before"), (pl.col("place") - before - 1).alias("missed"))
    last = places.filter(pl.col("event_time") <= newest)["place"].max()
    tails = placed.group_by("symbol").last().with_columns((last - pl.col("place")).alias("missed"))
    gaps = placed.filter(pl.col("missed") >= market.delisted_after_bars)
    over = pl.concat(
        [
            gaps.select("symbol", pl.col("before").alias("place"), "source"),
            tails.filter(pl.col("missed") >= market.delisted_after_bars).select("symbol", "place", "source"),
        ]
    )
    ended = over.select(
        "symbol",
        closes.gather(over["place"] + 1).alias("event_time"),
        closes.gather(over["place"] + market.delisted_after_bars).alias("known_time"),
        pl.lit("coverage_ended").alias("reason"),
        "source",
    )
    rows = pl.concat([_begun(placed, stored), ended, _resumed(placed, gaps, stored)])
    return rows.select(
        pl.lit(market.name).alias("universe"),
        "symbol",
        "event_time",
        (pl.col("reason") != "coverage_ended").alias("is_member"),
        "known_time",
        pl.lit("coverage").alias("basis"),
        "reason",
        "source",
    ).select(UNIVERSE.names)


def _begun(placed: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """First bars of symbols without a row, and of those whose history now begins earlier."""
    first = placed.group_by("symbol").first().join(stored.select("symbol", "begun"), on="symbol", how="left")
    is_earlier = pl.col("begun").is_null() | (pl.col("event_time") < pl.col("begun"))
    return first.filter(is_earlier).select(
        "symbol", "event_time", "known_time", pl.lit("first_bar").alias("reason"), "source"
    )


def _resumed(placed: pl.DataFrame, gaps: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """First bars after a gap, and first ones of a symbol whose coverage was found to have ended."""
    ended = stored.filter(~pl.col("is_member")).select(
        "symbol", "event_time", pl.col("known_time").alias("ended_known")
    )
    back = placed.join(ended.rename({"event_time": "ended_at"}), on="symbol")
    back = back.filter(pl.col("event_time") >= pl.col("ended_at")).group_by("symbol", maintain_order=True).first()
    # A bar of a session on which coverage had ended takes that back, so it is known after that.
    later = pl.max_horizontal("known_time", pl.col("ended_known") + SOONEST)
    is_same = pl.col("event_time") == pl.col("ended_at")
    back = back.with_columns(pl.when(is_same).then(later).otherwise("known_time").alias("known_time"))
    columns = ["symbol", "event_time", "known_time", "source"]
    resumed = pl.concat([back.select(columns), gaps.select(columns)]).unique(["symbol", "event_time"], keep="first")
    return resumed.select("symbol", "event_time", "known_time", pl.lit("coverage_resumed").alias("reason"), "source")


def newest_coverage(universe: pl.DataFrame) -> pl.DataFrame:
    """Return ``symbol, event_time, is_member, known_time`` of each symbol's newest coverage row, and ``begun``."""
    rows = universe.filter(pl.col("basis") == "coverage").sort("symbol", "event_time", "known_time")
    newest = rows.group_by("symbol", maintain_order=True).agg(
        pl.col("event_time").first().alias("begun"), pl.col("event_time", "is_member", "known_time").last()
    )
    return newest.select("symbol", "event_time", "is_member", "known_time", "begun")
