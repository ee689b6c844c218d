"""Verifies the seal of a logged forecast before it reaches the lake, one row at a time."""

import json
from typing import Any, NamedTuple

from lake.errors import SchemaError
from lake.tables import FORECASTS
from serving.forecasts import PRICED
from serving.receipts import digest_of, is_intact, opened, row_digest
from serving.row_log import value_of

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
