"""Verifies the seal of a logged forecast before it reaches the lake, one row at a time."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import polars as pl

from lake.errors import SchemaError
from lake.spec import INSTANT, Column
from lake.tables import FORECASTS
from serving.forecasts import PRICED
from serving.receipts import digest_of, is_intact, opened, row_digest

INT32 = 2**31
NAMES = set(FORECASTS.names)
LACKING = dict.fromkeys(PRICED)
"""What a row that was logged before these columns were declared says in them."""


class Logged(NamedTuple):
    """One forecast as the log holds it; None where a text cannot be put together any more."""

    sequence: int
    forecast_id: str | None
    row: str | None
    answer: str | None
    receipt: str | None


class RowVerdict(NamedTuple):
    """Verdict on one logged forecast.

    Parameters
    ----------
    row
        The row with its instants, as the table `forecasts` takes it; None where it does not fit the table.
    receipt
        Content and seal; empty texts where none was written, as for forecasts of before there were receipts.
    fault
        Why the forecast must not reach the lake unseen; empty where it is as it was sealed.
    """

    row: dict[str, Any] | None
    receipt: tuple[str, str]
    fault: str


def verify_logged(logged: Logged) -> RowVerdict:
    """Verify one logged forecast: the row fits the table, the receipt its seal, and row and answer the receipt."""
    row, fault = _row_of(logged)
    if row is None:
        return RowVerdict(None, ("", ""), fault)
    if logged.answer is None or logged.receipt is None:
        return RowVerdict(row, ("", ""), "the part it shares with other forecasts is missing from the log file")
    if not logged.receipt:
        return RowVerdict(row, ("", ""), "")
    try:
        content, seal = opened(logged.receipt)
    except SchemaError:
        return RowVerdict(row, ("", ""), "the receipt has no seal: it was cut off or overwritten")
    return RowVerdict(row, (content, seal), _fault_of_receipt(logged, row, content, seal))


def require_fitting(logged: Logged, file: str) -> str:
    """Return the row's text if it fits the table.

    Raises
    ------
    SchemaError
        If it does not, as after a damage of the disk; it names file and place.
    """
    row, fault = _row_of(logged)
    if row is None or logged.row is None:
        raise SchemaError(
            f"A forecast that waits in {file}, sequence {logged.sequence}, cannot be read: {fault}. "
            "`quantlake forecasts drain` puts it into the quarantine and the others into the lake; then try again."
        )
    return logged.row


def _row_of(logged: Logged) -> tuple[dict[str, Any] | None, str]:
    row, fault = _parsed(logged)
    if row is None:
        return None, fault
    for column in FORECASTS.columns:
        row[column.name], fault = value_of(column, row[column.name])
        if fault:
            return None, f"column '{column.name}' {fault}"
    for low, high in FORECASTS.ordered:
        if row[low] > row[high]:
            return None, f"column '{low}' is {row[low]}, above '{high}', which is {row[high]}"
    if row["forecast_id"] != logged.forecast_id:
        return None, f"the row is of forecast {row['forecast_id']}, its place in the log of {logged.forecast_id}"
    return row, ""


def _parsed(logged: Logged) -> tuple[dict[str, Any] | None, str]:
    """The row as JSON has it, with the columns of the table and no others."""
    if logged.forecast_id is None or logged.row is None:
        return None, "the row cannot be read from the log file"
    try:
        logged.row.encode()
        row = json.loads(logged.row)
    except UnicodeEncodeError:
        return None, "the row holds bytes that are no UTF-8"
    except ValueError as error:
        return None, f"the row is no JSON: {error}"
    if isinstance(row, dict) and not row.keys() & LACKING.keys():
        row |= LACKING
    if not isinstance(row, dict) or set(row) != NAMES:
        surplus = sorted(set(row) ^ NAMES) if isinstance(row, dict) else type(row).__name__
        return None, f"the row does not have the columns of '{FORECASTS.name}': {surplus}"
    return row, ""


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


def _fault_of_receipt(logged: Logged, row: dict[str, Any], content: str, seal: str) -> str:
    """Contradictions of the receipt with itself, the row or the answer."""
    try:
        if not is_intact(content, seal):
            return "the receipt does not fit its seal: it was altered after it was sealed"
        receipt = json.loads(content)
        if receipt["forecast_id"] != row["forecast_id"]:
            return f"the receipt is of forecast {receipt['forecast_id']}"
        if receipt["row"] != row_digest(row):
            return "the row is not the one that was sealed when it was made"
        if receipt["answer"] != digest_of(logged.answer or ""):
            return "the answer is not the one that was sealed when it was sent"
    except (ValueError, KeyError, TypeError) as error:
        return f"the receipt or the answer cannot be read: {type(error).__name__}"
    return ""
