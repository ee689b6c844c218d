"""Rows of a log's table, from the lake and from the log."""

from typing import TYPE_CHECKING, Any

import polars as pl

from serving.row_log.log_file import SET_APART, RowLog, opened_log, row_log_path
from serving.row_log.rows import row_from_json

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import LakeReader


def rows_about(log: RowLog, lake: "LakeReader", configured: "Settings", forecast_id: str) -> list[dict[str, Any]]:
    """Return the rows about a forecast, the oldest first; those of a withdrawn one only from the log.

    Raises
    ------
    LogError
        If the log cannot be read.
    """
    held = lake.read(log.spec, where=pl.col("forecast_id") == forecast_id).to_dicts() if lake.exists(log.spec) else []
    logged = rows_of_log(log, configured, "forecast_id", forecast_id)
    found = {row[log.key]: row for row in (*held, *logged)}
    return sorted(found.values(), key=lambda row: row["made_at"])


def rows_of_log(log: RowLog, configured: "Settings", column: str, value: str) -> list[dict[str, Any]]:
    """Return the rows that lie in the log and have a value in one of its columns, the oldest first.

    Parameters
    ----------
    column
        ``forecast_id``, or the key of the table.

    Raises
    ------
    LogError
        If the log cannot be read.
    """
    if not row_log_path(log, configured).exists():
        return []
    asked = f"SELECT row FROM {log.spec.name} WHERE {column} = ? AND state <> ? ORDER BY sequence"  # noqa: S608 - declared names
    with opened_log(log, configured) as connection:
        return [row_from_json(log, text) for (text,) in connection.execute(asked, (value, SET_APART))]
