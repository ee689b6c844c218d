"""Which rows of a batch are new or restate a stored row, and which of several rows counts. Pure functions."""

from collections.abc import Sequence

import polars as pl

from lake.errors import ConflictError
from lake.spec import Column, TableSpec

SMALL = 1e-3
"""Below this size numbers are compared by their absolute difference: a sum that cancels to zero has no digits left."""


def new_or_restated(spec: TableSpec, stored: pl.DataFrame, batch: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a batch that are new, or restate what is stored.

    The rows of one key are put in the order of their `known_time`, stored ones before new ones (in a table without
    restatements the stored one before all new ones, whenever they were known), and each is compared with the row
    before it. It is new when it is the first of its key; it is a restatement when, in a table that keeps them, it
    differs from what was known just before. A row that repeats what was known, its numbers within the table's
    `tolerance`, is neither, and the stored row keeps its bytes.

    Parameters
    ----------
    stored
        Rows of the table that share a key with the batch; more do no harm.
    batch
        Rows in the table's columns.

    Returns
    -------
    pl.DataFrame
        A part of the batch, sorted by key and `known_time`.

    Raises
    ------
    ConflictError
        If two rows contradict each other and nothing says which of them was known later.
    """
    key = list(spec.key)
    if stored.is_empty() and not batch.select(key).is_duplicated().any():
        return batch.sort([*key, "known_time"]).select(spec.names)
    values = [column for column in spec.columns if not column.is_origin and column.name not in {*key, "known_time"}]
    rows = pl.concat(
        [
            stored.with_columns(pl.lit(value=False).alias("is_new")),
            batch.with_columns(pl.lit(value=True).alias("is_new")),
        ]
    ).sort([*key, "known_time", "is_new"] if spec.restates else [*key, "is_new", "known_time"])
    same_key = pl.all_horizontal(_repeats(name) for name in key)
    same_time = _repeats("known_time") if spec.restates else pl.lit(value=True)
    judged = rows.with_columns(
        same_key.alias("same_key"),
        (same_key & same_time).alias("same_fact"),
        _differs(values, spec.tolerance).alias("differs"),
    )
    clash = judged.filter("is_new", "same_fact", "differs")
    if clash.height:
        raise ConflictError(_contradiction(spec, rows, clash))
    return judged.filter("is_new", ~pl.col("same_key") | (pl.col("differs") & ~pl.col("same_fact"))).select(spec.names)


def newest_known(rows: pl.DataFrame, key: Sequence[str] = ("symbol", "event_time")) -> pl.DataFrame:
    """Return the newest known row of each key, sorted by the key; of rows known at once, the last one.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"symbol": ["A", "A"], "event_time": [1, 1], "known_time": [2, 3], "close": [10.0, 10.5]})
    >>> newest_known(rows)["close"].to_list()
    [10.5]
    """
    return _last_of_each(rows, key, ["known_time"])


def newest_event(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return one row per key, sorted by the key: the newest event, and of its restatements the newest known.

    Without a key, one row is returned.
    """
    return _last_of_each(rows, key, ["event_time", "known_time"])


def _last_of_each(rows: pl.DataFrame, key: Sequence[str], times: Sequence[str]) -> pl.DataFrame:
    ordered = rows.sort(*key, *times, maintain_order=True)
    same_key = [pl.col(name).eq_missing(pl.col(name).shift(-1)) for name in key]
    is_last = pl.int_range(pl.len()) == pl.len() - 1
    return ordered.filter(~pl.all_horizontal(pl.lit(value=True), *same_key) | is_last)


def _repeats(name: str) -> pl.Expr:
    """Whether a value equals the one in the row before; false in the first row."""
    return pl.col(name).eq_missing(pl.col(name).shift(1)) & (pl.int_range(pl.len()) > 0)


def _differs(values: Sequence[Column], tolerance: float) -> pl.Expr:
    """Whether any value is another one than in the row before."""
    same = [
        _repeats(value.name) | _is_close(value.name, tolerance) if value.dtype.is_float() else _repeats(value.name)
        for value in values
    ]
    return ~pl.all_horizontal(same) if same else pl.lit(value=False)


def _is_close(name: str, tolerance: float) -> pl.Expr:
    """Whether a number lies within the tolerance of the one in the row before."""
    here, before = pl.col(name), pl.col(name).shift(1)
    largest = pl.max_horizontal(here.abs(), before.abs(), pl.lit(SMALL))
    return ((here - before).abs() <= tolerance * largest).fill_null(value=False)


def _contradiction(spec: TableSpec, rows: pl.DataFrame, clash: pl.DataFrame) -> str:
    identity = [*spec.key, "known_time"] if spec.restates else [*spec.key]
    fact = clash.select(identity).row(0, named=True)
    same = rows.filter(pl.all_horizontal(pl.col(name).eq_missing(pl.lit(value)) for name, value in fact.items()))
    values = [column.name for column in spec.columns if not column.is_origin and column.name not in identity]
    changed = [name for name in values if same[name].n_unique() > 1]
    first = ", ".join(f"{name} {value}" for name, value in fact.items())
    return (
        f"{clash.height} rows contradict what table '{spec.name}' holds or one another. First: {first}, where "
        f"{', '.join(f'{name} is {same[name].to_list()}' for name in changed)}. "
        + ("A restatement needs a later known_time." if spec.restates else "A row of this table is never restated.")
    )
