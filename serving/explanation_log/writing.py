"""Writes explanations to the log: each is on disk before it is answered."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from serving.explanation_log.log_file import opened_log

if TYPE_CHECKING:
    from lake.settings import Settings

INSERT = "INSERT INTO explanations (explanation_id, forecast_id, made_at, row) VALUES (?, ?, ?, ?)"


def log_explanation(configured: "Settings", row: Mapping[str, Any]) -> None:
    """Write a row of the table `explanations`; it is on disk when this returns. Who asked is not written.

    Raises
    ------
    LogError
        If it could not be written; the explanation must not be answered then.
    ValueError
        If a number is not finite.
    """
    text = json.dumps(row, allow_nan=False, default=_instant_to_text, separators=(",", ":"))
    made_at = _instant_to_text(row["made_at"])
    with opened_log(configured) as connection, connection:
        connection.execute(INSERT, (row["explanation_id"], row["forecast_id"], made_at, text))


def _instant_to_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{type(value).__name__} has no place in an explanation")
