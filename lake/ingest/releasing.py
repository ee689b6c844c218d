"""Bars that were held back because nothing explains their jump, released by a person."""

from datetime import datetime

import polars as pl

from lake.clock import Clock
from lake.errors import SourceError
from lake.refine import RELEASED, UNEXPLAINED
from lake.report import Report
from lake.spec import INSTANT
from lake.store import Lake
from lake.tables import QUARANTINE, RAW_BARS


def release(lake: Lake, symbol: str, close: datetime, clock: Clock) -> Report:
    """Release a bar that was held back as `unexplained_jump`, and the held bars of its symbol after it.

    The rows are delivered once more as they came, known from now on. The next `refine_to_lake` takes the bar as it is,
    jump included, and judges those after it from there. The rows in quarantine stay, as a record.

    Parameters
    ----------
    symbol, close
        The bar, by the instant at which its session closed.

    Returns
    -------
    Report
        Of `raw_bars`.

    Raises
    ------
    SourceError
        If no such bar is held back, with the first one that is.
    """
    names = [symbol, *(span.name for span in lake.market.names.former_names(symbol))]
    where = pl.col("symbol").is_in(names) & (pl.col("known_time") <= clock.now())
    held = _held(lake, where)
    if held.filter(pl.col("event_time") == pl.lit(close, dtype=INSTANT)).is_empty():
        first = held["event_time"].min()
        raise SourceError(
            f"No bar of '{symbol}' that closed at {close.isoformat()} is held back. "
            + (f"The first that is closed at {first.isoformat()}." if isinstance(first, datetime) else "None is.")
        )
    batch_id = f"{RELEASED}{symbol}:{close:%Y%m%dT%H%M}"
    now = pl.lit(clock.now(), dtype=INSTANT)
    newest = held.sort("known_time", "received_at", "row").unique("event_time", keep="last")
    rows = newest.filter(pl.col("event_time") >= pl.lit(close, dtype=INSTANT)).sort("event_time")
    released = rows.with_columns(
        pl.lit(batch_id).alias("batch_id"),
        pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
        pl.max_horizontal(now, pl.col("known_time").dt.offset_by("1us")).alias("known_time"),
        pl.lit("observed").alias("known_basis"),
        pl.max_horizontal(now, "received_at").alias("received_at"),
    )
    return lake.append(RAW_BARS, released.select(RAW_BARS.names), batch_id=batch_id)


def _held(lake: Lake, where: pl.Expr) -> pl.DataFrame:
    """Raw rows that are in quarantine for their jump."""
    if not lake.exists(QUARANTINE):
        return RAW_BARS.empty()
    refused = lake.read(QUARANTINE, where=pl.col("reason") == UNEXPLAINED)
    return lake.read(RAW_BARS, where=where).join(refused, on=["batch_id", "row"], how="semi")
