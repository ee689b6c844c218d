"""Leaks of time: aggregates of a week that is not over, figures under the wrong date, orders turned round."""

import polars as pl

KEY = ("symbol", "event_time")
MARKET = "^GSPC"
CLOSE = pl.col("close")
RETURN = CLOSE / CLOSE.shift(1) - 1
TIME = pl.col("event_time")


def _by_symbol(bars: pl.DataFrame, value: pl.Expr) -> pl.Series:
    return bars.select(value.over("symbol", order_by="event_time").alias("value")).to_series()


def mean_of_the_week(bars: pl.DataFrame) -> pl.DataFrame:
    """Mean return of the calendar week, joined to each of its days."""
    returns = bars.select(*KEY, RETURN.over("symbol").alias("return")).with_columns(
        TIME.dt.truncate("1w").alias("week")
    )
    weeks = returns.group_by("symbol", "week").agg(pl.col("return").mean().alias("mean_of_the_week"))
    return returns.join(weeks, on=["symbol", "week"], how="left").select(*KEY, "mean_of_the_week")


def high_of_the_month(bars: pl.DataFrame) -> pl.DataFrame:
    """Close over the highest close of its month."""
    month = TIME.dt.truncate("1mo")
    return bars.select(*KEY, (CLOSE / CLOSE.max().over("symbol", month)).alias("high_of_the_month"))


def resampled_to_weeks(bars: pl.DataFrame) -> pl.DataFrame:
    """Weekly returns labelled with the first day of the week, carried forward to its other days."""
    weeks = bars.sort(TIME).group_by_dynamic("event_time", every="1w", group_by="symbol").agg(CLOSE.last())
    weekly = weeks.select(*KEY, RETURN.over("symbol").alias("resampled_to_weeks"))
    return (
        bars.select(KEY).sort(TIME).join_asof(weekly.sort(TIME), on="event_time", by="symbol", check_sortedness=False)
    )


def first_figure_by_its_period(bars: pl.DataFrame, releases: pl.DataFrame) -> pl.DataFrame:
    """Figures as first published, but from the end of their period on instead of their release."""
    first = releases.sort("known_time").group_by("event_time", maintain_order=True).first().sort("event_time")
    figures = first.select("event_time", pl.col("value").alias("figure"))
    return bars.sort(TIME).join_asof(figures, on="event_time").select(*KEY, "figure")


def extremes_of_the_index(bars: pl.DataFrame) -> pl.DataFrame:
    """Returns over the largest return that the index ever has."""
    largest = bars.filter(pl.col("symbol") == MARKET).select(RETURN.abs().max()).item()
    return bars.select(*KEY, (RETURN.over("symbol") / largest).alias("extremes_of_the_index"))


def summed_backwards(bars: pl.DataFrame) -> pl.DataFrame:
    """Cumulative return after sorting the newest bar first."""
    returns = bars.select(*KEY, RETURN.over("symbol").alias("return")).sort(TIME, descending=True)
    return returns.select(*KEY, pl.col("return").fill_null(0.0).cum_sum().over("symbol").alias("summed_backwards"))


def halted_tomorrow(bars: pl.DataFrame) -> pl.Series:
    """Whether the next bar is more than four days away, as in a market filled up to a full grid of sessions."""
    return _by_symbol(bars, ((TIME.shift(-1) - TIME).dt.total_days() > 4).fill_null(value=False))


def about_to_be_delisted(bars: pl.DataFrame) -> pl.DataFrame:
    """Whether the symbol's last bar comes before the market's, and within thirty days."""
    last = TIME.max().over("symbol")
    is_near = (last < bars["event_time"].max()) & ((last - TIME).dt.total_days() < 30)
    return bars.select(*KEY, is_near.alias("about_to_be_delisted"))


def splits_tomorrow(bars: pl.DataFrame) -> pl.Series:
    """Whether the factor between traded and adjusted close changes with the next bar."""
    factor = pl.col("close_unadjusted") / CLOSE
    return _by_symbol(bars, ((factor.shift(-1) / factor - 1).abs() > 0.2).fill_null(value=False))


def volume_of_the_next_bar(bars: pl.DataFrame) -> pl.Series:
    """Fill a missing volume with the next one there is."""
    return _by_symbol(bars, pl.col("volume").is_null() & pl.col("volume").shift(-1).is_not_null())
