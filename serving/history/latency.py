"""How long answers took, as far as their forecasts were known at an instant."""

from datetime import datetime, timedelta

import polars as pl

from lake.tables import FORECASTS
from serving import api
from serving.history.forecasts import made_by
from serving.history.known import KnownTables, was_known

LAST_DAY = timedelta(days=1)
"""Wall-clock time before the newest answer within which answers count."""


def latency_of(tables: KnownTables, at: datetime) -> list[api.HistoryLatency]:
    """Return the median and the 95 % quantile of the time to answer over the last day of answers, by kind.

    Parameters
    ----------
    at
        Instant of the market's time; an answer whose forecast became known later does not count.

    Returns
    -------
    list of HistoryLatency
        Sorted by kind; a kind without an answer that day is left out, and so are forecasts whose latency is not kept.
        Answers count from when they were drained into the table ``forecasts``.
    """
    if not tables.reader.exists(FORECASTS):
        return []
    is_timed = pl.col("latency_ms").is_not_null()
    answered = tables.reader.scan(FORECASTS).filter(made_by(None), was_known(at), is_timed)
    last_day = answered.filter(pl.col("made_at") > pl.col("made_at").max() - LAST_DAY)
    found = last_day.group_by("kind").agg(
        pl.len().alias("forecasts"),
        pl.col("latency_ms").median().alias("median_ms"),
        pl.col("latency_ms").quantile(0.95, "linear").alias("p95_ms"),
        pl.col("made_at").max().alias("last_made_at"),
    )
    return [api.HistoryLatency(**row) for row in found.sort("kind").collect().iter_rows(named=True)]
