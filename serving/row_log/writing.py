"""Writes rows to a log: each is on disk before it is answered."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from serving.row_log.log_file import RowLog, opened_log

if TYPE_CHECKING:
    from lake.settings import Settings


def log_row(log: RowLog, configured: "Settings", row: Mapping[str, Any], *, key_id: str = "") -> None:
    """Write a row of a log's table; it is on disk when this returns.

    Parameters
    ----------
    key_id
        API key that asked; it is written apart from the row, where it can be deleted. Empty to write nobody.

    Raises
    ------
    LogError
        If it could not be written; what the row says must not be answered then.
    ValueError
        If a number is not finite.
    """
    text = json.dumps(row, allow_nan=False, default=_instant_to_text, separators=(",", ":"))
    made_at = _instant_to_text(row["made_at"])
    insert = f"INSERT INTO {log.spec.name} ({log.key}, forecast_id, made_at, row) VALUES (?, ?, ?, ?)"  # noqa: S608 - declared names
    with opened_log(log, configured) as connection, connection:
        connection.execute(insert, (row[log.key], row["forecast_id"], made_at, text))
        if key_id:
            connection.execute("INSERT INTO asked (id, key_id) VALUES (?, ?)", (row[log.key], key_id))


def _instant_to_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a logged row")
