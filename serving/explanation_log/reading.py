"""Explanations of a forecast, from the lake and from the log."""

from typing import TYPE_CHECKING, Any

import polars as pl

from lake.tables import EXPLANATIONS
from serving.explanation_log.log_file import SET_APART, explanation_log_path, opened_log
from serving.explanation_log.rows import row_from_json

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake

OF_FORECAST = "SELECT row FROM explanations WHERE forecast_id = ? AND state <> ?"


def explanations_of(lake: "Lake", configured: "Settings", forecast_id: str) -> list[dict[str, Any]]:
    """Return the rows of `explanations` about a forecast, the oldest first; those of a withdrawn one only from the log.

    Raises
    ------
    LogError
        If the log cannot be read.
    """
    found = {row["explanation_id"]: row for row in (*_in_lake(lake, forecast_id), *_in_log(configured, forecast_id))}
    return sorted(found.values(), key=lambda row: row["made_at"])


def _in_lake(lake: "Lake", forecast_id: str) -> list[dict[str, Any]]:
    if not lake.exists(EXPLANATIONS):
        return []
    return lake.read(EXPLANATIONS, where=pl.col("forecast_id") == forecast_id).to_dicts()


def _in_log(configured: "Settings", forecast_id: str) -> list[dict[str, Any]]:
    if not explanation_log_path(configured).exists():
        return []
    with opened_log(configured) as connection:
        return [row_from_json(text) for (text,) in connection.execute(OF_FORECAST, (forecast_id, SET_APART))]
