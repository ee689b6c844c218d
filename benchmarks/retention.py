"""Disk over thirty days of forecasts: a real log, drained and pruned every day, and the lake beside it.

The days are simulated: each forecast carries the instants of its simulated day, and the prune is told that day's time.
Rows have the size of real ones. Bytes a forecast are measured at this scale and multiplied for a million a day; the
notes say so.
"""

import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

from benchmarks.report import Topic
from lake.care import maintain_tables
from lake.settings import Settings
from lake.store import Lake
from lake.tables import FORECASTS, RECEIPTS
from serving.forecast_log import ForecastLog, LogEntry, drain, log_path, open_log, prune
from support.log import sealed_entry

DAILY = 1_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
SYMBOLS, AT_ONCE, SINGLE = 500, 250, 20
PAUSE_SECONDS = 0.02
"""Between two commits beside the prune: fifty a second is four times what a million a day ask for."""
SHOWN = (1, 2, 3, 5, 10, 20, 30)


@dataclass(frozen=True)
class Day:
    """Bytes on the disk at the end of a simulated day, and what writing beside the prune cost."""

    log: int
    peak: int
    wal: int
    lake: int
    rows: int
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
    lives = {
        name: list(_live(days, daily, is_pruned=is_pruned)) for name, is_pruned in (("kept", False), ("pruned", True))
    }
    kept, pruned = lives["kept"], lives["pruned"]
    rows = [
        (
            f"day {day}",
            *(f"{getattr(kept[day - 1], part) / 1e6:.1f}" for part in ("log", "lake")),
            *(f"{getattr(pruned[day - 1], part) / 1e6:.1f}" for part in ("log", "peak", "wal", "lake")),
            f"{kept[day - 1].log / _mean_rows(kept) * DAILY / 1e9:.1f}",
            f"{pruned[day - 1].peak / _mean_rows(pruned) * DAILY / 1e9:.1f}",
        )
        for day in SHOWN
        if day <= days
    ]
    header = (
        "end of",
        "log MB, never pruned",
        "lake MB",
        "log MB, pruned",
        "its peak that day",
        "its WAL",
        "lake MB",
        "GB of log at 1 M a day, never pruned",
        "pruned, at its peak",
    )
    text = f"{days} simulated days of {daily:,} forecasts of real size, drained and pruned once a day."
    return Topic("Retention of the forecast log", text, header, tuple(rows), _notes(kept, pruned))


def _mean_rows(days: list[Day]) -> float:
    return sum(day.rows for day in days) / len(days)


def _notes(kept: list[Day], pruned: list[Day]) -> tuple[str, ...]:
    apart = [ms for day in pruned for ms in day.commits_ms]
    beside = [ms for day in pruned for ms in day.commits_beside_ms]
    in_log, in_lake = (getattr(kept[-1], part) / sum(day.rows for day in kept) for part in ("log", "lake"))
    lines = [
        f"{name}: median {median(found):.1f} ms, p99 {quantiles(found, n=100)[98]:.1f} ms"
        for name, found in (("a commit of one forecast", apart), ("the same while the log is pruned", beside))
    ]
    return (
        f"a forecast takes {in_log:,.0f} bytes in the log and {in_lake:,.0f} in the lake (`forecasts` and `receipts`)",
        f"figures for 1 M a day are these bytes times 1 M; the lake then grows by {in_lake * DAILY / 1e9:.2f} GB a day",
        *lines,
    )


def _live(days: int, daily: int, *, is_pruned: bool) -> Iterator[Day]:
    folder = Path(tempfile.mkdtemp())
    configured = Settings(home=folder)
    lake, log = Lake.open(configured), ForecastLog.open(configured)
    try:
        for day in range(days):
            start = START + timedelta(days=day)
            for part in _entries(start, daily):
                log.write(part)
            apart = [_commit(log, start + timedelta(days=1)) for _ in range(SINGLE)]
            drain(lake, configured)
            peak = _bytes(configured)[0]
            beside = list[float]()
            if is_pruned:
                beside = _prune_beside_a_writer(lake, configured, log, start + timedelta(days=1))
            if (day + 1) % 7 == 0 or day == days - 1:
                maintain_tables(lake, [FORECASTS, RECEIPTS], keep=timedelta(0))
            log_bytes, wal = _bytes(configured)
            rows = daily + len(apart) + len(beside)
            yield Day(log_bytes, max(peak, log_bytes), wal, _size(configured.tables), rows, apart, beside)
    finally:
        log.close()
        shutil.rmtree(folder)


def _entries(start: datetime, daily: int) -> Iterator[list[LogEntry]]:
    """The forecasts of a day, in the order in which they are made: every symbol in turn, one session for all."""
    for first in range(0, daily, AT_ONCE):
        yield [
            _entry(start + timedelta(days=number / daily), start, number)
            for number in range(first, min(first + AT_ONCE, daily))
        ]


def _entry(made_at: datetime, session: datetime, number: int) -> LogEntry:
    """One forecast of real size: its digests and its id are its own, and nothing of them compresses."""
    close = session.replace(hour=0)
    return sealed_entry(
        str(uuid.uuid4()),
        session=str(session.toordinal()),
        symbol=f"S{number % SYMBOLS:03}",
        made_at=made_at,
        event_time=close,
        known_time=close,
        latency_ms=1.0 + number % 977 / 313,
        feature_hash=f"{number % SYMBOLS:064x}",
        p50=1e-3 * (number % SYMBOLS) / SYMBOLS / 3,
    )


def _commit(log: ForecastLog, made_at: datetime) -> float:
    """Milliseconds of one commit of one forecast."""
    entry = _entry(made_at, made_at, 0)
    started = time.perf_counter()
    log.write([entry])
    return (time.perf_counter() - started) * 1e3


def _prune_beside_a_writer(lake: Lake, configured: Settings, log: ForecastLog, now: datetime) -> list[float]:
    """Prune as of a simulated instant while forecasts are written one by one; milliseconds of their commits."""
    commits: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        pruning = pool.submit(prune, lake, configured, now)
        while not pruning.done():
            commits.append(_commit(log, now))
            time.sleep(PAUSE_SECONDS)
        pruning.result()
    return commits


def _bytes(configured: Settings) -> tuple[int, int]:
    """Bytes of the log's files and of its write-ahead logs, after what SQLite itself does in a pause."""
    path = log_path(configured)
    with closing(open_log(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    wal = path.with_name(f"{path.name}-wal")
    return path.stat().st_size, wal.stat().st_size if wal.exists() else 0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
