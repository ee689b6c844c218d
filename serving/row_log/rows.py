"""Rows of a log as rows of its table."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.errors import SchemaError
from lake.spec import INSTANT
from serving.row_log.values import value_of

if TYPE_CHECKING:
    from serving.row_log.log_file import RowLog


def row_from_json(log: "RowLog", text: str) -> dict[str, Any]:
    """Return a logged row with its instants."""
    row: dict[str, Any] = json.loads(text)
    instants = [name for name, dtype in log.spec.schema.items() if dtype == INSTANT and row.get(name) is not None]
    return row | {name: datetime.fromisoformat(row[name]) for name in instants}


def frame_from_json(log: "RowLog", text: str) -> pl.DataFrame:
    """Return a logged row as the table takes it; numbers come back to the last bit.

    Raises
    ------
    SchemaError
        If it does not fit the table.
    """
    try:
        logged = json.loads(text)
    except ValueError as error:
        raise _unfit(log, f"it is no JSON: {error}") from error
    values: dict[str, Any] = {}
    for column in log.spec.columns:
        values[column.name], fault = value_of(column, logged.get(column.name))
        if fault:
            raise _unfit(log, f"column '{column.name}' {fault}")
    return pl.DataFrame([values], schema=log.spec.schema, orient="row")


def _unfit(log: "RowLog", fault: str) -> SchemaError:
    return SchemaError(
        f"A logged {log.noun} does not fit the table '{log.spec.name}': {fault}. It stays in the log, where the "
        "column `row` holds it; no other row is held back."
    )
