"""Two computations of the same rows: which columns differ, in how many rows, and in which one first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

TOLERANCE = 1e-9
"""Largest relative difference that rounding may explain."""
ROW = "the row itself"
"""Named as the column where a row is there under one future and not under the other."""


@dataclass(frozen=True)
class Leak:
    """One column that changed in the past when only the future did.

    Parameters
    ----------
    column
        Name of the leaking column, or `ROW`.
    how
        What was done: ``replayed``, or the future ``cut off``, ``disturbed``, ``thinned out``; see `docs/leaks.md`.
    cut
        Instant up to which the data was the same.
    rows
        How many rows that should not have changed did.
    example
        Key of the first of them, its value with the true future and its value with the other one.
    first
        From when on that row claims to be known.
    """

    column: str
    how: str
    cut: datetime
    rows: int
    example: dict[str, Any]
    first: datetime | None = None


@dataclass(frozen=True)
class Closeness:
    """When two numbers are the same: within `relative` times the larger of them, or of `floor`."""

    relative: float = TOLERANCE
    floor: float = 0.0


EXACT = Closeness()


def differences(
    full: pl.DataFrame,
    other: pl.DataFrame,
    how: str,
    cut: datetime,
    key: Sequence[str],
    *,
    time: str = "event_time",
    closeness: Closeness = EXACT,
    columns: Sequence[str] | None = None,
) -> list[Leak]:
    """Return one leak per column that is not the same in both, `ROW` among them; the frames have one row per key."""
    compared = [name for name in full.columns if name not in key] if columns is None else [*columns]
    kept = [*key, *compared] if time in {*key, *compared} else [*key, time, *compared]
    mark = pl.lit(value=True).alias("is_there")
    both = full.select(*kept, mark).join(
        other.select(*kept, mark), on=list(key), how="full", suffix="_other", coalesce=True
    )
    when = pl.col(time) if time in key else pl.coalesce(time, f"{time}_other")
    changed = {name: _differs(name, full.schema.get(name), closeness) for name in ("is_there", *compared)}
    counts = both.select(test.sum().alias(name) for name, test in changed.items()).row(0, named=True)
    return [
        Leak(
            column=ROW if name == "is_there" else name,
            how=how,
            cut=cut,
            rows=rows,
            example=both.filter(changed[name]).sort(when, *key).select(*key, name, f"{name}_other").row(0, named=True),
            first=both.filter(changed[name]).select(when.min()).item(),
        )
        for name, rows in counts.items()
        if rows
    ]


def _differs(column: str, dtype: pl.DataType | None, closeness: Closeness) -> pl.Expr:
    ours, theirs = pl.col(column), pl.col(f"{column}_other")
    if dtype is None or not dtype.is_float():
        return ours.ne_missing(theirs)
    size = pl.max_horizontal(ours.abs(), theirs.abs(), pl.lit(closeness.floor))
    is_close = (ours - theirs).abs() <= closeness.relative * size
    return ~(is_close | ours.eq_missing(theirs)).fill_null(value=False)
