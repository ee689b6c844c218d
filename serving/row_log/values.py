"""A value out of JSON in the type of a table's column."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from lake.spec import INSTANT, Column

INT32 = 2**31


def value_of(column: Column, value: Any) -> tuple[Any, str]:
    """A value out of JSON in the type of a table's column, and its fault; empty where there is none."""
    if value is None:
        return None, "" if column.nullable else "is null"
    read, fault = _READERS[column.dtype](value)
    return read, fault or _outside(column, read)


def _outside(column: Column, value: Any) -> str:
    if column.allowed and value not in column.allowed:
        return f"is {value!r}, none of {', '.join(column.allowed)}"
    if column.positive and value <= 0:
        return f"is {value}, not above zero"
    if column.minimum is not None and value < column.minimum:
        return f"is {value}, below {column.minimum}"
    if column.maximum is not None and value > column.maximum:
        return f"is {value}, above {column.maximum}"
    return ""


def _real(value: Any) -> tuple[Any, str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (float(value), "") if is_number and math.isfinite(value) else (None, f"is {value!r}, no finite number")


def _count(value: Any) -> tuple[Any, str]:
    is_count = isinstance(value, int) and not isinstance(value, bool) and -INT32 <= value < INT32
    return (value, "") if is_count else (None, f"is {value!r}, no whole number")


def _text(value: Any) -> tuple[Any, str]:
    is_text = isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
    return (value, "") if is_text else (None, f"is {value!r}, no text")


def _flag(value: Any) -> tuple[Any, str]:
    return (value, "") if isinstance(value, bool) else (None, f"is {value!r}, neither true nor false")


def _instant(value: Any) -> tuple[Any, str]:
    try:
        read = datetime.fromisoformat(value)
        return (read.astimezone(UTC), "") if read.tzinfo else (None, f"is {value!r}, an instant without a zone")
    except (TypeError, ValueError, OverflowError):
        return None, f"is {value!r}, no instant"


def _date(value: Any) -> tuple[Any, str]:
    try:
        return date.fromisoformat(value), ""
    except (TypeError, ValueError):
        return None, f"is {value!r}, no date"


_READERS: Mapping[pl.DataType, Callable[[Any], tuple[Any, str]]] = {
    pl.Float64(): _real,
    pl.Int32(): _count,
    pl.Int64(): _count,
    pl.String(): _text,
    pl.Boolean(): _flag,
    INSTANT: _instant,
    pl.Date(): _date,
}
