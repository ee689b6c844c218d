"""Backlog of the forecast log: undrained forecasts and bytes on disk."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from serving.forecast_log import quarantine
from serving.forecast_log.damage import moved_aside
from serving.forecast_log.log_files import WAITING, log_paths, open_log, size_of

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings

COUNT = f"SELECT count(*) FROM forecasts WHERE is_in_lake = {WAITING}"  # noqa: S608 - a number of ours
OLDEST = f"SELECT made_at FROM forecasts WHERE is_in_lake = {WAITING} ORDER BY sequence LIMIT 1"  # noqa: S608 - as above


@dataclass(frozen=True)
class LogFigures:
    """The state of the forecast log.

    Parameters
    ----------
    waiting
        Forecasts that are not in the lake yet.
    oldest_seconds
        Age of the oldest of them; 0 where none waits.
    bytes
        Size of the files, their write-ahead logs included.
    quarantined
        Forecasts that wait for a decision.
    damaged
        Files that were moved aside and not salvaged yet, and files that cannot be read now.
    """

    waiting: int
    oldest_seconds: float
    bytes: int
    quarantined: int
    damaged: int


def look_at_log(configured: "Settings") -> LogFigures:
    """Measure every file of the log; an unreadable file counts as damaged and does not stop the others."""
    waiting, unreadable, oldest = 0, 0, list[datetime]()
    paths = log_paths(configured)
    for path in paths:
        try:
            number, made_at = _waiting(path)
        except sqlite3.Error:
            unreadable += 1
            continue
        waiting += number
        oldest += [datetime.fromisoformat(made_at)] if made_at else []
    age = (datetime.now(UTC) - min(oldest)).total_seconds() if oldest else 0.0
    return LogFigures(
        waiting=waiting,
        oldest_seconds=max(age, 0.0),
        bytes=sum(map(size_of, paths)),
        quarantined=len(quarantine.quarantined_forecasts(configured, "waiting")),
        damaged=len(moved_aside(configured)) + unreadable,
    )


def _waiting(path: "Path") -> tuple[int, str | None]:
    with closing(open_log(path)) as connection:
        number: int = connection.execute(COUNT).fetchone()[0]
        first = connection.execute(OLDEST).fetchone()
        return number, None if first is None else first[0]
