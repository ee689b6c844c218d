"""What sources state of splits and dividends to `raw_actions`, as it was received."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from lake.sources import BarBatch
from lake.spec import INSTANT
from lake.store import Lake
from lake.tables import RAW_ACTIONS

STATED = ("source", "symbol", "ex_date", "kind", "ratio", "amount", "currency", "price_basis")
"""What an action says; told again in the same words it is no news."""


def store_stated(lake: Lake, batches: Sequence[BarBatch], now: datetime) -> int:
    """Append the splits and dividends that deliveries state and that are not stored in the same words; return how many.

    What a source states with its first delivery is known from its ex-date: it was public by then, which is an
    assumption. What it states later is known from `now`, which was observed, or from an ex-date after that, which
    is assumed again. A split may lie after the
    market's now: a file is stated in the shares of the day it was made (`later_splits` of `raw_bars`), and
    `known_time` keeps it out of every question about what was known.
    """
    added = 0
    for batch in batches:
        stated = batch.actions.with_columns(pl.col("ex_date").dt.to_string("iso"))
        stored = RAW_ACTIONS.empty()
        if lake.exists(RAW_ACTIONS) and stated.height:
            stored = lake.read(RAW_ACTIONS, where=pl.col("source").is_in(stated["source"].unique().implode()))
        fresh = stated.unique(STATED, keep="first", maintain_order=True).join(
            stored, on=STATED, how="anti", nulls_equal=True, maintain_order="left"
        )
        if fresh.is_empty():
            continue
        since = pl.col("ex_date").str.to_datetime("%Y-%m-%d", time_unit="us", time_zone="UTC")
        is_observed = pl.lit(value=not stored.is_empty()) & (since <= pl.lit(now, dtype=INSTANT))
        rows = fresh.with_row_index("row").with_columns(
            pl.col("row").cast(pl.Int64),
            pl.lit(batch.batch_id).alias("batch_id"),
            since.alias("event_time"),
            pl.when(is_observed).then(pl.lit(now, dtype=INSTANT)).otherwise(since).alias("known_time"),
            pl.when(is_observed).then(pl.lit("observed")).otherwise(pl.lit("assumed")).alias("known_basis"),
        )
        added += lake.append(RAW_ACTIONS, rows.select(RAW_ACTIONS.names), batch_id=batch.batch_id).added
    return added
