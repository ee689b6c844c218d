"""The rules that a table's spec declares, each as an expression over its rows and as an expectation of a suite."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import polars as pl

from lake.spec import Column, TableSpec

RuleKind = Literal["nulls", "bounds", "names", "order", "keys"]
KINDS: tuple[RuleKind, ...] = get_args(RuleKind)
"""Kinds of rules: required values, bounds of numbers, allowed names, order of two columns, one row per key."""


@dataclass(frozen=True, eq=False)
class TableRule:
    """One rule of a table.

    Parameters
    ----------
    expectation
        Great Expectations' name of it, e.g. ``expect_column_values_to_not_be_null``.
    columns
        Column or columns it is about.
    arguments
        Arguments of the expectation.
    broken
        Whether a row breaks it, over all rows of the table; a value that is not known breaks no bound and no order.
    kind
        What sort of rule it is; a kind is one check in the Dagster UI.
    text
        The rule as a person reads it, e.g. ``high >= close``.
    """

    expectation: str
    columns: tuple[str, ...]
    arguments: Mapping[str, Any]
    broken: pl.Expr
    kind: RuleKind
    text: str


def rules_of(spec: TableSpec) -> Iterator[TableRule]:
    """Derive the rules of a table: nulls, bounds, names, order of columns, and one row per key.

    Examples
    --------
    >>> from lake.tables import ACTIONS
    >>> [rule.expectation for rule in rules_of(ACTIONS)][-1]
    'expect_compound_columns_to_be_unique'
    """
    for column in spec.columns:
        yield from _rules_of_column(column)
    known = {column.name: _known(column) for column in spec.columns}
    for smaller, larger in spec.ordered:
        yield TableRule(
            "expect_column_pair_values_a_to_be_greater_than_b",
            (smaller, larger),
            {"column_A": larger, "column_B": smaller, "or_equal": True, "ignore_row_if": "either_value_is_missing"},
            (known[larger] < known[smaller]).fill_null(value=False),
            "order",
            f"{larger} >= {smaller}",
        )
    is_single = len(spec.key) == 1
    yield TableRule(
        "expect_column_values_to_be_unique" if is_single else "expect_compound_columns_to_be_unique",
        spec.key,
        {"column": spec.key[0]} if is_single else {"column_list": list(spec.key)},
        pl.struct(spec.key).is_duplicated(),
        "keys",
        f"one row per {', '.join(spec.key)}",
    )


def kinds_of(spec: TableSpec) -> tuple[RuleKind, ...]:
    """Return the kinds of rules that a table declares, in the order of `KINDS`.

    Examples
    --------
    >>> from lake.tables import BARS
    >>> kinds_of(BARS)
    ('nulls', 'bounds', 'names', 'order', 'keys')
    """
    declared = {rule.kind for rule in rules_of(spec)}
    return tuple(kind for kind in KINDS if kind in declared)


def broken_rules(spec: TableSpec, rows: pl.DataFrame) -> list[TableRule]:
    """Return the rules that some row breaks, in one pass over the rows.

    Examples
    --------
    >>> from lake.sources import tiny_market
    >>> from lake.tables import BARS
    >>> bars = tiny_market(["AAA"], sessions=5, seed=1)
    >>> broken_rules(BARS, bars)
    []
    >>> [rule.columns for rule in broken_rules(BARS, bars.with_columns(volume=pl.lit(-1.0)))]
    [('volume',)]
    """
    rules = list(rules_of(spec))
    found = rows.select(rule.broken.any().alias(str(place)) for place, rule in enumerate(rules)).row(0)
    return [rule for rule, is_broken in zip(rules, found, strict=True) if is_broken]


def _rules_of_column(column: Column) -> Iterator[TableRule]:
    name, value = column.name, _known(column)
    if not column.nullable:
        yield TableRule(
            "expect_column_values_to_not_be_null",
            (name,),
            {"column": name},
            value.is_null(),
            "nulls",
            f"{name} is known",
        )
    low, is_strict = _least(column)
    if low is not None or column.maximum is not None:
        yield TableRule(
            "expect_column_values_to_be_between",
            (name,),
            {"column": name, "min_value": low, "max_value": column.maximum, "strict_min": is_strict},
            is_outside(column),
            "bounds",
            _bounds(name, low, column.maximum, is_strict=is_strict),
        )
    if column.allowed:
        yield TableRule(
            "expect_column_values_to_be_in_set",
            (name,),
            {"column": name, "value_set": list(column.allowed)},
            (~value.is_in(list(column.allowed))).fill_null(value=False),
            "names",
            f"{name} is one of {', '.join(column.allowed)}",
        )


def is_outside(column: Column) -> pl.Expr:
    """Return whether a value lies outside the bounds of its column; one that is not known, NaN among them, does not.

    Examples
    --------
    >>> from lake.tables import BARS
    >>> volume = next(column for column in BARS.columns if column.name == "volume")
    >>> rows = pl.DataFrame({"volume": [1.0, -1.0, float("nan"), None]})
    >>> rows.select(is_outside(volume)).to_series().to_list()
    [False, True, False, False]
    """
    value, (low, is_strict) = _known(column), _least(column)
    below = pl.lit(value=False) if low is None else value <= low if is_strict else value < low
    above = pl.lit(value=False) if column.maximum is None else value > column.maximum
    return (below | above).fill_null(value=False)


def _least(column: Column) -> tuple[float | None, bool]:
    """The lower bound of a column, and whether values must lie above it."""
    low = 0.0 if column.positive and column.minimum is None else column.minimum
    return low, column.positive and low == 0


def _bounds(name: str, low: float | None, high: float | None, *, is_strict: bool) -> str:
    above = [] if low is None else [f"{name} {'>' if is_strict else '>='} {low:.10g}"]
    return " and ".join([*above, *([] if high is None else [f"{name} <= {high:.10g}"])])


def _known(column: Column) -> pl.Expr:
    """Values of a column, NaN as null: pandas, through which Great Expectations reads, knows no difference."""
    value = pl.col(column.name)
    return value.fill_nan(None) if column.dtype.is_float() else value
