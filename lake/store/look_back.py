"""Look-back reads: the last rows of each symbol before an instant of its own, and all from there on."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from lake.spec import TableSpec
from lake.store.delta import Lake
from lake.store.merge import newest_known

DAYS_PER_SESSION, EXTRA_DAYS = 1.5, 14
"""A generous guess at how far back a number of sessions reaches; symbols that lie further back are read again."""
NEAR = timedelta(days=30)
"""Symbols whose instant lies this close to the latest one are read together, the others apart."""
ROW_KEY = ("symbol", "event_time", "known_time")


def read_look_back(
    lake: Lake,
    spec: TableSpec,
    first: pl.DataFrame,
    count: int,
    *,
    now: datetime,
    version: int | None = None,
    where: pl.Expr | None = None,
    columns: Sequence[str] = (),
) -> pl.DataFrame:
    """Return the rows of each symbol from an instant of its own on, and up to `count` rows before it.

    Parameters
    ----------
    spec
        Table keyed by symbol and event_time.
    first
        ``symbol, first``: one row per symbol; its rows with ``event_time >= first`` are returned whole.
    now
        Rows as known then.
    version
        Delta version to read, by default the newest.
    where
        Only rows that meet it count, restated ones by themselves.
    columns
        Columns to return; by default all.

    Returns
    -------
    pl.DataFrame
        Sorted by symbol and event_time, one row per key. A symbol with fewer rows before its instant has fewer.
    """
    known = pl.col("known_time") <= now
    rows = lake.scan(spec, version=version).filter(known if where is None else known & where)
    rows = rows.select(columns or spec.names)
    if first.is_empty():
        return rows.head(0).collect()
    latest = first["first"].max()
    is_near = pl.col("first") >= pl.lit(latest) - NEAR
    parts = [part for part in (first.filter(is_near), first.filter(~is_near)) if part.height]
    found = [_around(rows, part, count) for part in parts]
    return found[0] if len(found) == 1 else pl.concat(found).sort("symbol", "event_time")


def cut_look_back(rows: pl.DataFrame, first: pl.DataFrame, count: int) -> pl.DataFrame:
    """Keep of each symbol up to `count` rows before its instant, and all from there on; rows sorted by symbol and time.

    A symbol without an instant is left out.
    """
    placed = rows.join(first, on="symbol", how="inner", maintain_order="left")
    before = (pl.col("event_time") < pl.col("first")).sum().cast(pl.Int64).over("symbol")
    position = pl.int_range(pl.len()).over("symbol")
    return placed.filter(position >= before - count).drop("first")


def _around(rows: pl.LazyFrame, first: pl.DataFrame, count: int) -> pl.DataFrame:
    earliest: datetime = first.select(pl.col("first").min()).item()
    start = earliest - timedelta(days=EXTRA_DAYS + DAYS_PER_SESSION * count)
    is_wanted = pl.col("symbol").is_in(first["symbol"].implode())
    kept = cut_look_back(newest_known(rows.filter(is_wanted, pl.col("event_time") >= start).collect()), first, count)
    have = kept.join(first, on="symbol").filter(pl.col("event_time") < pl.col("first")).group_by("symbol").len()
    lacking = first.join(have.filter(pl.col("len") >= count), on="symbol", how="anti")
    if lacking.is_empty() or not rows.select((pl.col("event_time") < start).any()).collect().item():
        return kept
    is_lacking = pl.col("symbol").is_in(lacking["symbol"].implode())
    further = cut_look_back(newest_known(rows.filter(is_lacking).collect()), lacking, count)
    return pl.concat([kept.join(lacking, on="symbol", how="anti"), further]).sort("symbol", "event_time")
