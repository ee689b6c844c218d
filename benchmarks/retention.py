"""Disk over thirty days of forecasts: a real log, drained and pruned every day, and the lake beside it.

The days are simulated: each forecast carries the instants of its simulated day, and the prune is told that day's time.
Rows have the size of real ones. Bytes a forecast are measured at this scale and multiplied for a million a day, which is
said wherever it is done.
"""

import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

from benchmarks.report import Topic
from lake.maintenance import keep_house
from lake.settings import Settings
from lake.store import Lake
from lake.tables import FORECASTS, RECEIPTS
from serving.stored.draining import drain
from serving.stored.forecast_log import Entry, ForecastLog
from serving.stored.log_files import log_path, open_log
from serving.stored.pruning import prune
from serving.testing.log import sealed_entry

DAILY = 1_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
SYMBOLS, AT_ONCE = 500, 250
SHOWN = (1, 2, 3, 5, 10, 20, 30)


@dataclass(frozen=True)
class Day:
    """Bytes on the disk at the end of a simulated day, and what writing beside the prune cost."""

    log: int
    wal: int
    lake: int
    commits_ms: list[float]
    commits_beside_ms: list[float]


def measure(*, days: int = 30, daily: int = 4_000) -> Topic:
    """Simulate days of forecasts with and without pruning.

    Parameters
    ----------
    days
        Simulated days.
    daily
        Forecasts each day, spread evenly over it.
    """
    lives = {name: list(_live(days, daily, is_pruned=is_pruned)) for name, is_pruned in (("kept", False), ("pruned", True))}
    rows = [
        (
            f"day {day}",
            *(f"{getattr(lives[name][day - 1], part) / 1e6:.1f}" for name in lives for part in ("log", "wal", "lake")),
            f"{lives['pruned'][day - 1].log / daily * DAILY / 1e9:.2f}",
            f"{lives['kept'][day - 1].log / daily * DAILY / 1e9:.2f}",
        )
        for day in SHOWN
        if day <= days
    ]
    kept, pruned = lives["kept"][-1], lives["pruned"][-1]
    apart = [ms for day in lives["pruned"] for ms in day.commits_ms]
    beside = [ms for day in lives["pruned"] for ms in day.commits_beside_ms]
    notes = (
        f"log: {kept.log / (days * daily):,.0f} bytes a forecast as written; 24 hours' retention keeps one to two days",
        f"lake: {pruned.lake / (days * daily):,.0f} bytes a forecast in `forecasts` and `receipts` after keep_house",
        f"a million a day, extrapolated: the log stays at {pruned.log / daily * DAILY / 1e9:.1f} GB, "
        f"the lake grows by {pruned.lake / (days * daily) * DAILY / 1e9:.2f} GB a day",
        f"a commit of one forecast: median {median(apart):.1f} ms, p99 {quantiles(apart, n=100)[98]:.1f} ms; "
        f"while the log is pruned: median {median(beside):.1f} ms, p99 {quantiles(beside, n=100)[98]:.1f} ms",
    )
    header = ("end of", "log MB", "WAL MB", "lake MB", "log MB, pruned", "WAL MB, pruned", "lake MB, pruned",
              "GB of log at 1 M a day, pruned", "not pruned")  # fmt: skip
    text = f"{days} simulated days of {daily:,} forecasts of real size, drained and pruned once a day."
    return Topic("Retention of the forecast log", text, header, tuple(rows), notes)


def _live(days: int, daily: int, *, is_pruned: bool) -> Iterator[Day]:
    folder = Path(tempfile.mkdtemp())
    configured = Settings(home=folder)
    lake, log = Lake.open(configured), ForecastLog.open(configured)
    try:
        for day in range(days):
            start = START + timedelta(days=day)
            apart = [_timed(lambda part=part: log.write(part)) for part in _entries(start, daily)]  # type: ignore[misc]
            drain(lake, configured)
            beside = list[float]()
            if is_pruned:
                beside = _beside(lambda end=start + timedelta(days=1): prune(lake, configured, end), log, start)  # type: ignore[misc]
            if (day + 1) % 7 == 0 or day == days - 1:
                keep_house(lake, [FORECASTS, RECEIPTS], keep=timedelta(0))
            yield Day(*_bytes(configured), lake=_size(configured.tables), commits_ms=apart, commits_beside_ms=beside)
    finally:
        log.close()
        shutil.rmtree(folder)
