"""Forecasts that a person withdrew: append-only decisions that every read of forecasts and outcomes honours.

The rows stay where they are, because nothing in the lake is ever changed; what is computed from a read never sees them.
"""

import polars as pl

from lake.spec import TableSpec
from lake.store.stored_rows import StoredRows
from lake.tables import FORECAST_DECISIONS

WITHDRAWN, UNVERIFIED = "withdrawn", "unverified"


def without_withdrawn(lake: StoredRows, spec: TableSpec, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Leave out the rows of withdrawn forecasts, at whatever time they were withdrawn.

    Parameters
    ----------
    rows
        Rows of the table; those of a table that is not `withdrawable` come back as they are.
    """
    if not spec.withdrawable:
        return rows
    ids = withdrawn(lake)
    return rows.filter(~pl.col("forecast_id").is_in(ids.implode())) if len(ids) else rows


def withdrawn(lake: StoredRows) -> pl.Series:
    """Ids of the forecasts that were withdrawn, at whatever time."""
    if not lake.exists(FORECAST_DECISIONS):
        return pl.Series("forecast_id", [], pl.String)
    decided = lake.scan_all(FORECAST_DECISIONS).filter(pl.col("decision") == WITHDRAWN)
    return decided.select("forecast_id").collect()["forecast_id"]


def unverified(lake: StoredRows) -> set[str]:
    """Ids of forecasts that were released from quarantine although they do not fit their seal."""
    if not lake.exists(FORECAST_DECISIONS):
        return set()
    return set(lake.read(FORECAST_DECISIONS, where=pl.col("decision") == UNVERIFIED)["forecast_id"])
