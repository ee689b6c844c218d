"""Bars of a symbol as they were known at an instant."""

from datetime import datetime

import polars as pl

from lake import calendars
from lake.tables import BARS
from serving import api
from serving.history.known import KnownTables
from serving.history.moments import Span
from serving.history.paging import RowsPage

EVERYTHING = Span()


def bars_of(
    tables: KnownTables, symbol: str, at: datetime, *, span: Span = EVERYTHING, page: RowsPage | None = None
) -> api.BarsAnswer:
    """Return bars of a symbol, each in the form that was known at an instant, restatements included.

    Parameters
    ----------
    span
        Of the closes of the bars.
    page
        The newest 1,000 by default.
    """
    known = tables.known(BARS, at, symbol=symbol).filter(span.holds)
    rows, next_offset = (page or RowsPage()).of(known)
    return api.BarsAnswer(
        symbol=symbol,
        as_of=at,
        rows_in_all=known.height,
        next_offset=next_offset,
        currency=tables.market.currency,
        bars=[api.HistoryBar(**row) for row in _shown(rows, tables.market.grid).iter_rows(named=True)],
    )


def _shown(rows: pl.DataFrame, grid: str) -> pl.DataFrame:
    return rows.select(
        sessions_of(rows["event_time"], grid).alias("session"),
        "event_time",
        "known_time",
        "known_basis",
        "open",
        "high",
        "low",
        "close",
        pl.col("close_traded").alias("price_traded"),
        "price_basis",
        "volume",
    )


def sessions_of(closes: pl.Series, grid: str) -> pl.Series:
    """Return the session that each bar belongs to, by its close; the closes are sorted."""
    sessions = calendars.closes(grid).rename({"event_time": "end"})
    bars = closes.alias("event_time").to_frame()
    joined = bars.join_asof(sessions, left_on="event_time", right_on="end", strategy="forward")
    return joined["session"]
