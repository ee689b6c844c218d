"""The rows that break a rule, in words: which row, which value, and the query that shows it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lake.quality.rules import TableRule
from lake.spec import TableSpec

MOST = 5
"""Rows of one rule that are described."""
SPECIAL_IN_SHELL = re.compile(r'(["$`\\])')


@dataclass(frozen=True)
class BrokenRows:
    """Rows that break one rule.

    Parameters
    ----------
    count
        How many there are.
    examples
        The first of them by key, at most `MOST`, each with the values that break the rule.
    query
        DuckDB query that shows the first of them as stored; empty where there is none.
    """

    count: int
    examples: tuple[str, ...]
    query: str


def rows_that_break(spec: TableSpec, rule: TableRule, rows: pl.DataFrame) -> BrokenRows:
    """Describe the rows that break a rule of a table; a key that is stored twice is described once.

    Examples
    --------
    >>> from lake.quality.rules import rules_of
    >>> from lake.sources import tiny_market
    >>> from lake.tables import BARS
    >>> bars = tiny_market(["AAA"], sessions=5, seed=1).with_columns(volume=pl.lit(-1.0))
    >>> (rule,) = [rule for rule in rules_of(BARS) if rule.text == "volume >= 0"]
    >>> found = rows_that_break(BARS, rule, bars)
    >>> found.count, found.examples[0]
    (5, 'AAA 2012-12-24 18:00 UTC, volume -1 < 0')
    >>> found.query
    "SELECT * FROM bars WHERE symbol = 'AAA' AND event_time = TIMESTAMPTZ '2012-12-24 18:00:00+00:00'"
    """
    broken = rows.filter(rule.broken)
    key = list(spec.key)
    times = broken.group_by(key).len("_times")
    first = broken.unique(key, keep="first", maintain_order=True).join(times, on=key, nulls_equal=True)
    shown = first.sort(key, nulls_last=True).head(MOST).to_dicts()
    return BrokenRows(
        count=broken.height,
        examples=tuple(f"{_place(spec, row)}, {_fault(rule, row)}" for row in shown),
        query=_query(spec, shown[0]) if shown else "",
    )


def command_of(query: str) -> str:
    r"""Return the command that runs a query, to be pasted into a shell.

    Examples
    --------
    >>> print(command_of("SELECT * FROM bars WHERE symbol = '$X'"))
    quantlake sql "SELECT * FROM bars WHERE symbol = '\$X'"
    """
    quoted = SPECIAL_IN_SHELL.sub(r"\\\1", query)
    return f'quantlake sql "{quoted}"'


def _place(spec: TableSpec, row: Mapping[str, Any]) -> str:
    """Symbol and time of a row, then what else its key holds, by name."""
    leading = [name for name in ("symbol", "event_time") if name in row]
    others = [name for name in spec.key if name not in leading]
    return " ".join([*(text_of(row[name]) for name in leading), *(f"{name} {text_of(row[name])}" for name in others)])


def _fault(rule: TableRule, row: Mapping[str, Any]) -> str:
    first, *others = rule.columns
    value = row[first]
    match rule.kind:
        case "nulls":
            return f"{first} is null"
        case "names":
            return f"{first} is '{value}'"
        case "order":
            return f"{first} {text_of(value)} > {others[0]} {text_of(row[others[0]])}"
        case "keys":
            return f"stored {row['_times']} times"
        case "bounds":
            low, high = rule.arguments["min_value"], rule.arguments["max_value"]
            sign, bound = (">", high) if high is not None and value > high else ("<" if value < low else "=", low)
            return f"{first} {text_of(value)} {sign} {text_of(bound)}"


def text_of(value: Any) -> str:
    """Return a value of a row as a person reads it: numbers without trailing zeros, instants in UTC."""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC".replace(":00 UTC", " UTC")
    return "null" if value is None else str(value)


def _query(spec: TableSpec, row: Mapping[str, Any]) -> str:
    conditions = " AND ".join(_condition(name, row[name]) for name in spec.key)
    return f"SELECT * FROM {spec.name} WHERE {conditions}"  # noqa: S608 - read by a person; values are quoted below


def _condition(name: str, value: Any) -> str:
    if value is None:
        return f"{name} IS NULL"
    if isinstance(value, datetime):
        return f"{name} = TIMESTAMPTZ '{value.astimezone(UTC).isoformat(sep=' ')}'"
    if isinstance(value, (bool, int, float)):
        return f"{name} = {value}"
    return f"{name} = '" + str(value).replace("'", "''") + "'"
