"""Refused rows as rows of `quarantine`."""

from collections.abc import Sequence

import polars as pl

from lake.spec import TableSpec
from lake.tables import QUARANTINE

NOT_RECEIVED = frozenset({"received_at", "event_time", "known_time"})
"""Columns of a raw row that say when it came, and were not part of it."""


def to_quarantine(bad: pl.DataFrame, table: TableSpec, content: Sequence[str | pl.Expr]) -> pl.DataFrame:
    """Return refused rows, each with its reason and as it was received.

    Parameters
    ----------
    bad
        Raw rows with ``reason``.
    table
        The one that they were meant for.
    content
        Columns that were received.
    """
    return bad.select(
        pl.lit(table.name).alias("table"),
        "batch_id",
        "row",
        "reason",
        pl.struct(content).struct.json_encode().alias("content"),
        "event_time",
        "known_time",
    ).select(QUARANTINE.names)
