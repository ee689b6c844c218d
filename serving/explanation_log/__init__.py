"""Explanation log: every computed explanation on disk before it is answered, and its way into the lake.

It is a row log (`serving.row_log`) of the table `explanations`. Who asked is not written.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lake.tables import EXPLANATIONS
from serving.row_log import RowLog, drain_rows, log_row, row_log_path, rows_about

if TYPE_CHECKING:
    from pathlib import Path

    from lake.report import Report
    from lake.settings import Settings
    from lake.store import Lake

__all__ = ["drain_explanations", "explanation_log_path", "explanations_of", "log_explanation"]

LOG = RowLog(EXPLANATIONS, "explanation")


def explanation_log_path(configured: "Settings") -> "Path":
    """Return where the log of a home lies; it is made by the first explanation."""
    return row_log_path(LOG, configured)


def log_explanation(configured: "Settings", row: Mapping[str, Any]) -> None:
    """Write a row of the table `explanations`; see `serving.row_log.log_row`. Who asked is not written."""
    log_row(LOG, configured, row)


def explanations_of(lake: "Lake", configured: "Settings", forecast_id: str) -> list[dict[str, Any]]:
    """Return the rows of `explanations` about a forecast, the oldest first; those of a withdrawn one only from the log.

    Raises
    ------
    LogError
        If the log cannot be read.
    """
    return rows_about(LOG, lake, configured, forecast_id)


def drain_explanations(lake: "Lake", configured: "Settings", now: datetime | None = None) -> "Report":
    """Merge every logged explanation into the lake, and delete old ones; see `serving.row_log.drain_rows`."""
    return drain_rows(LOG, lake, configured, now)
