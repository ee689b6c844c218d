"""What advice is computed from, read from tables as of an instant."""

from datetime import datetime

from feature_repo.catalog import FEATURES_TECHNICAL
from lake.market import Market
from serving.advice.reliability import LEAST_OUTCOMES, CallBucket, CallRecord, Source, bucket_of, buckets_of
from serving.history import KnownTables, calls_of, overlap_of, wilson

ATR = "atr_relative"
"""Average true range of 14 bars by the price, in the table of technical features."""
TIME_HORIZONS = ("short", "medium", "long")


def records_of(tables: KnownTables, horizon: int, at: datetime) -> tuple[CallRecord, ...]:
    """Return what came of earlier calls, by bucket of the stated probability (`reliability.EDGES`).

    Parameters
    ----------
    horizon
        As the tables count it.
    at
        Only outcomes that were known then count.

    Returns
    -------
    tuple
        One record for each bucket. Its interval is Wilson's (1927, JASA 22) at 90 %, over closes that do not overlap.
    """
    calls, overlap = calls_of(tables, horizon, at), overlap_of(tables.market, horizon)
    rows = calls.rows
    buckets = buckets_of(rows["stated"].to_numpy(), rows["is_hit"].to_numpy(), rows["event_time"].to_numpy())
    return tuple(_record(calls.source, bucket, overlap) for bucket in buckets)


def record_of(tables: KnownTables, horizon: int, at: datetime, stated: float) -> CallRecord:
    """Return the record of `records_of` that a stated probability, 0.5 to 1, belongs to."""
    return records_of(tables, horizon, at)[bucket_of(stated)]


def _record(source: Source, bucket: CallBucket, overlap: int) -> CallRecord:
    if bucket.outcomes < LEAST_OUTCOMES or bucket.came_true is None:
        return CallRecord(source, bucket, None)
    return CallRecord(source, bucket, wilson(bucket.came_true, bucket.sessions / overlap))


def range_of(tables: KnownTables, symbol: str, at: datetime) -> float | None:
    """Return the average true range of a symbol that was known at an instant, as a fraction of its price."""
    rows = tables.known(FEATURES_TECHNICAL, at, symbol=symbol)
    return None if rows.is_empty() else usable_range(rows[ATR][-1])


def usable_range(value: float | None) -> float | None:
    """Return an average true range that can be used; None for one that is not known.

    Examples
    --------
    >>> usable_range(0.02), usable_range(float("nan")), usable_range(None)
    (0.02, None, None)
    """
    return value if value is not None and value > 0 else None


def horizon_for(market: Market, offered: "list[int] | tuple[int, ...]", time_horizon: str) -> int:
    """Return which of the offered horizons a time horizon means: the nearest, the middle one, the farthest.

    Examples
    --------
    >>> from lake.market import DEMO
    >>> [horizon_for(DEMO, [1, 5], each) for each in TIME_HORIZONS]
    [1, 5, 5]
    """
    ordered = sorted(bars for bars in offered if bars in market.horizon_bars) or sorted(offered)
    return {"short": ordered[0], "medium": ordered[len(ordered) // 2], "long": ordered[-1]}[time_horizon]
