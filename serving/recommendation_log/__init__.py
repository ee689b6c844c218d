"""Recommendation log: every recommendation on disk before it is answered, and its way into the lake.

It is a row log (`serving.row_log`) of the table `recommendations`. The key that asked is written apart from the row: it
decides who may read the row again, is exported with user data, and can be deleted.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.tables import RECOMMENDATIONS
from serving.row_log import (
    RowLog,
    asked_by,
    asked_with,
    askers,
    drain_rows,
    forget_askers,
    log_row,
    row_log_path,
    rows_about,
    rows_of_log,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lake.report import Report
    from lake.settings import Settings
    from lake.store import Lake, LakeReader

__all__ = [
    "advised_keys",
    "asker_of",
    "drain_recommendations",
    "forget_advised",
    "log_recommendation",
    "recommendation_log_path",
    "recommendation_of",
    "recommendations_about",
    "recommendations_asked_with",
]

LOG = RowLog(RECOMMENDATIONS, "recommendation")


def recommendation_log_path(configured: "Settings") -> "Path":
    """Return where the log of a home lies; it is made by the first recommendation."""
    return row_log_path(LOG, configured)


def log_recommendation(configured: "Settings", row: Mapping[str, Any], *, key_id: str = "") -> None:
    """Write a row of the table `recommendations`, and apart from it who asked; see `serving.row_log.log_row`."""
    log_row(LOG, configured, row, key_id=key_id)


def drain_recommendations(lake: "Lake", configured: "Settings", now: datetime | None = None) -> "Report":
    """Merge every logged recommendation into the lake, and delete old ones; see `serving.row_log.drain_rows`."""
    return drain_rows(LOG, lake, configured, now)


def recommendations_about(lake: "LakeReader", configured: "Settings", forecast_id: str) -> list[dict[str, Any]]:
    """Return the rows that rest on a forecast, the oldest first; of a withdrawn one only those in the log.

    Raises
    ------
    LogError
        If the log cannot be read.
    """
    return rows_about(LOG, lake, configured, forecast_id)


def recommendation_of(lake: "LakeReader", configured: "Settings", recommendation_id: str) -> dict[str, Any] | None:
    """Return the row of an id, from the log or the lake; None where neither holds it.

    Raises
    ------
    LogError
        If the log cannot be read.
    """
    logged = rows_of_log(LOG, configured, LOG.key, recommendation_id)
    return logged[0] if logged else next(iter(_in_lake(lake, [recommendation_id])), None)


def recommendations_asked_with(lake: "LakeReader", configured: "Settings", key_id: str) -> list[dict[str, Any]]:
    """Return the rows that were asked for with a key, the oldest first.

    Raises
    ------
    LogError
        If the log cannot be read.
    """
    ids = asked_with(LOG, configured, key_id)
    if not ids:
        return []
    found = {row[LOG.key]: row for row in _in_lake(lake, ids)}
    for missing in (each for each in ids if each not in found):
        found |= {row[LOG.key]: row for row in rows_of_log(LOG, configured, LOG.key, missing)}
    return sorted(found.values(), key=lambda row: row["made_at"])


def asker_of(configured: "Settings", recommendation_id: str) -> str:
    """Return the key that asked for a recommendation; empty where it was deleted or nobody is known."""
    return asked_by(LOG, configured, recommendation_id)


def advised_keys(configured: "Settings") -> set[str]:
    """Return every key that recommendations were asked for with."""
    return askers(LOG, configured)


def forget_advised(configured: "Settings", key_ids: Iterable[str]) -> int:
    """Delete who asked; the recommendations stay, and lead to nobody. Returns how many had one of these keys."""
    return forget_askers(LOG, configured, key_ids)


def _in_lake(lake: "LakeReader", ids: list[str]) -> list[dict[str, Any]]:
    if not lake.exists(RECOMMENDATIONS):
        return []
    return lake.read(RECOMMENDATIONS, where=pl.col(LOG.key).is_in(ids)).to_dicts()
