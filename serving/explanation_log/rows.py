"""Rows of the explanation log as rows of the table `explanations`."""

import json
from datetime import datetime
from typing import Any

import polars as pl

from lake.errors import SchemaError
from lake.spec import INSTANT
from lake.tables import EXPLANATIONS
from serving.forecast_log import value_of

INSTANTS = tuple(name for name, dtype in EXPLANATIONS.schema.items() if dtype == INSTANT)


def row_from_json(text: str) -> dict[str, Any]:
    """Return a logged row with its instants."""
    row: dict[str, Any] = json.loads(text)
    return row | {name: datetime.fromisoformat(row[name]) for name in INSTANTS}


def frame_from_json(text: str) -> pl.DataFrame:
    """Return a logged row as the table takes it; numbers come back to the last bit.

    Raises
    ------
    SchemaError
        If it does not fit the table.
    """
    try:
        logged = json.loads(text)
    except ValueError as error:
        raise _unfit(f"it is no JSON: {error}") from error
    values: dict[str, Any] = {}
    for column in EXPLANATIONS.columns:
        values[column.name], fault = value_of(column, logged.get(column.name))
        if fault:
            raise _unfit(f"column '{column.name}' {fault}")
    return pl.DataFrame([values], schema=EXPLANATIONS.schema, orient="row")


def _unfit(fault: str) -> SchemaError:
    return SchemaError(
        f"A logged explanation does not fit the table '{EXPLANATIONS.name}': {fault}. It stays in the log, where the "
        "column `row` holds it; no other row is held back."
    )
