"""Rows of the explanation log as rows of the table `explanations`."""

import json
from datetime import datetime
from typing import Any

import polars as pl

from lake.errors import SchemaError
from lake.spec import INSTANT
from lake.tables import EXPLANATIONS

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
        frame = pl.DataFrame([row_from_json(text)], schema=EXPLANATIONS.schema, orient="row")
    except (ValueError, TypeError, KeyError, pl.exceptions.PolarsError) as error:
        raise SchemaError(
            f"A logged explanation cannot be read as a row of '{EXPLANATIONS.name}': {error}. It stays in the log."
        ) from error
    return EXPLANATIONS.conform(frame)
