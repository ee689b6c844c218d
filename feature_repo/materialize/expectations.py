"""Check a feature table against its spec. A wide one is judged in one pass, and Great Expectations told the outcome."""

from datetime import datetime

import polars as pl

from lake.quality import QualityReport, check_frame, check_table
from lake.spec import Column, TableSpec
from lake.store import Lake

FEW = 30
"""Bounded columns up to which each is an expectation of its own: a hundred of them take a quarter of a minute."""
OUTSIDE = Column(
    "outside_its_bounds",
    pl.String(),
    "",
    "first column whose value is none that it can have; empty for none",
    allowed=("",),
)


def check_features(lake: Lake, spec: TableSpec, at: datetime) -> QualityReport:
    """Check a table as it was known at an instant.

    Nulls, bounds, the order of columns and one row per key are checked for every table. Of one with many bounded
    columns, the bounds are one expectation, which names the columns that break theirs among its examples.
    """
    bounded = [column for column in spec.columns if column.minimum is not None or column.maximum is not None]
    if len(bounded) <= FEW:
        return check_table(lake, spec, at)
    known = lake.read(spec, where=pl.col("known_time") <= at)
    rows = known.filter(pl.col("known_time") == pl.col("known_time").max().over(list(spec.key)))
    outside = pl.coalesce([pl.when(_is_outside(column)).then(pl.lit(column.name)) for column in bounded])
    narrow = _narrow(spec)
    return check_frame(narrow, rows.with_columns(outside.fill_null("").alias(OUTSIDE.name)).select(narrow.names), at)


def _narrow(spec: TableSpec) -> TableSpec:
    """The table with one column in place of those of which nothing but their bounds is to be checked."""
    kept = tuple(c for c in spec.columns if not c.nullable or c.positive or c.allowed or c.name in spec.key)
    return TableSpec(spec.name, spec.layer, spec.meaning, spec.key, (*kept, OUTSIDE), ordered=spec.ordered)


def _is_outside(column: Column) -> pl.Expr:
    value, low, high = pl.col(column.name), column.minimum, column.maximum
    below = pl.lit(value=False) if low is None else value < low
    above = pl.lit(value=False) if high is None else value > high
    return (below | above).fill_null(value=False)
