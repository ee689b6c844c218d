"""Does a computation see the future? Cut the future off, disturb it, and look whether the past moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from lake.errors import LookAheadError

TOLERANCE = 1e-9
"""Largest relative difference that rounding may explain."""
SHOWN = 5
"""How many leaking columns an error names."""

Compute = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Leak:
    """One column that changed in the past when only the future did.

    Parameters
    ----------
    column
        Name of the leaking column.
    how
        What was done to the future: ``cut off``, ``disturbed`` or ``thinned out``.
    cut
        Instant up to which the data was the same.
    rows
        How many past rows changed.
    example
        Key of the first of them, its value with the true future and its value with the other one.
    """

    column: str
    how: str
    cut: datetime
    rows: int
    example: dict[str, Any]


def find_leaks(
    compute: Compute,
    bars: pl.DataFrame,
    cuts: Sequence[datetime],
    *,
    key: Sequence[str] = ("symbol", "event_time"),
    seed: int = 0,
) -> list[Leak]:
    """Compare what is computed for the past under different futures.

    At each cut the bars after it are left out, multiplied by random factors, and thinned out at random; every row at or
    before the cut must keep its value, its nulls and its existence. A leak that acts only on some rows is seen when a
    cut falls beside one of them: choose consecutive sessions over a few weeks, and some far apart.

    Parameters
    ----------
    compute
        Bars to a frame with the key columns and any others; called three times per cut and once on all bars.
    bars
        Bars as of one instant.
    cuts
        Instants; bars closing exactly then belong to the past.
    seed
        Of the disturbed futures.

    Returns
    -------
    list[Leak]
        Empty when nothing leaks, else at most one per column and kind of future.
    """
    full = compute(bars)
    random = np.random.default_rng(seed)
    found: dict[tuple[str, str], Leak] = {}
    for cut in cuts:
        for how, other in _futures(bars, cut, random).items():
            for leak in _differences(full, compute(other), how, cut, list(key)):
                found.setdefault((leak.column, how), leak)
    return list(found.values())


def require_causal(compute: Compute, bars: pl.DataFrame, cuts: Sequence[datetime], **options: Any) -> None:
    """Raise where a computation sees the future; the options are those of `find_leaks`.

    Raises
    ------
    LookAheadError
        Naming the columns, the cut and an example of a value that changed.
    """
    leaks = find_leaks(compute, bars, cuts, **options)
    if leaks:
        said = "; ".join(
            f"'{leak.column}' when the future was {leak.how}, e.g. {leak.example}" for leak in leaks[:SHOWN]
        )
        raise LookAheadError(
            f"{len({leak.column for leak in leaks})} columns change in the past when only the future does: {said}. "
            "Use only bars up to and including t."
        )


def _futures(bars: pl.DataFrame, cut: datetime, random: np.random.Generator) -> dict[str, pl.DataFrame]:
    is_past = pl.col("event_time") <= cut
    past, future = bars.filter(is_past), bars.filter(~is_past)
    numbers = [name for name, dtype in bars.schema.items() if dtype.is_float()]
    factors = {name: pl.Series(random.lognormal(0.0, 0.5, future.height)) for name in numbers}
    disturbed = future.with_columns(pl.col(name) * factors[name] for name in numbers)
    thinned = future.filter(pl.Series(random.random(future.height) < 1 / 2))
    return {
        "cut off": past,
        "disturbed": pl.concat([past, disturbed]),
        "thinned out": pl.concat([past, thinned]),
    }


def _differences(full: pl.DataFrame, other: pl.DataFrame, how: str, cut: datetime, key: list[str]) -> list[Leak]:
    is_past = pl.col("event_time") <= cut
    both = (
        full.filter(is_past)
        .with_columns(pl.lit(value=True).alias("is_there"))
        .join(
            other.filter(is_past).with_columns(pl.lit(value=True).alias("is_there")),
            on=key,
            how="full",
            suffix="_other",
            coalesce=True,
        )
    )
    columns = ["is_there", *(name for name in full.columns if name not in key)]
    leaks = []
    for column in columns:
        changed = both.filter(_differs(column, full.schema.get(column)))
        if changed.height:
            example = changed.select(*key, column, f"{column}_other").row(0, named=True)
            leaks.append(Leak("the row itself" if column == "is_there" else column, how, cut, changed.height, example))
    return leaks


def _differs(column: str, dtype: pl.DataType | None) -> pl.Expr:
    ours, theirs = pl.col(column), pl.col(f"{column}_other")
    if dtype is None or not dtype.is_float():
        return ours.ne_missing(theirs)
    size = pl.max_horizontal(ours.abs(), theirs.abs())
    is_close = (ours - theirs).abs() <= TOLERANCE * size
    return ~(is_close | ours.eq_missing(theirs)).fill_null(value=False)
