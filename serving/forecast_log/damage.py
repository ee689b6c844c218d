"""Damaged log files: detected at start and at the drain, moved aside, never deleted.

A file is moved with those that SQLite keeps beside it, so what can be read of it still can be; `salvage` does that at
the next drain. The process that writes to it begins a new file at the same path (`process_file`).
"""

import logging
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from lake.disk import SQLITE_HEADER, check_pages, file_at, flush
from serving.forecast_log.log_files import NAMES, log_paths

if TYPE_CHECKING:
    from lake.settings import Settings

logger = logging.getLogger("quantlake.serving")

CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
HEADER_BYTES = 100
MARK = ".damaged-"
DONE = ".salvaged.json"
EXAMINE_SECONDS = 1.0
"""Longest look at one file; the pages of a larger one that it does not reach are checked as they are read."""
BESIDE = ("-wal", "-shm", "")
"""Moved in this order: a file that is begun anew must never find the write-ahead log of another beside it."""
REMEDY = (
    "It is moved aside by the next start of the service or the next drain (`quantlake forecasts drain`), which brings "
    "what can be read of it into the lake; nothing is deleted."
)
LEFT = (
    "`quantlake forecasts drain` brings what can be read of it into the lake; keep the file until its report is there."
)


def is_damage(error: BaseException) -> bool:
    """Whether an error of SQLite says that the file itself is damaged, rather than locked, full or missing."""
    return isinstance(error, sqlite3.DatabaseError) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in CODES


def fault_of(path: Path, seconds: float = EXAMINE_SECONDS) -> str:
    """Fault of a log file, as part of a sentence; empty where none was found within the time limit.

    Parameters
    ----------
    seconds
        Longest time to look for.
    """
    try:
        size = path.stat().st_size
        if not path.is_file() or size == 0:
            return ""
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError:
        return ""
    wal = path.with_name(f"{path.name}-wal")
    if not header.startswith(SQLITE_HEADER):
        return f"is no SQLite database: it begins with {header[:16]!r}"
    page = int.from_bytes(header[16:18], "big")
    expected = (65_536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    if size < expected and not (wal.exists() and wal.stat().st_size):
        return f"is cut off: it has {size:,} of {expected:,} bytes"
    return _checked(path, seconds)


def examine_files(configured: "Settings", seconds: float = EXAMINE_SECONDS) -> list[tuple[Path, str, str]]:
    """Examine every log file and the quarantine; returns (file, fault, remedy) for each damaged one.

    Files that were moved aside and are not salvaged yet are among them.
    """
    found = [(path, fault, REMEDY) for path in log_paths(configured) if (fault := fault_of(path, seconds))]
    empty = "is empty (0 bytes), so what it held is gone, or no forecast was ever written to it"
    found += [(path, empty, "Restore it from a backup if one was.") for path in log_paths(configured) if _is_void(path)]
    quarantine = configured.home / "forecast_quarantine.sqlite"
    if fault := fault_of(quarantine, seconds):
        found.append((quarantine, fault, "Restore it from a backup, or move it away: the next drain begins a new one."))
    return found + [(path, "was damaged and moved aside", LEFT) for path in moved_aside(configured)]


def set_aside_damaged(configured: "Settings", seconds: float = EXAMINE_SECONDS) -> list[str]:
    """Examine every log file and move damaged ones aside; returns and logs one sentence for each."""
    warnings = []
    for path in log_paths(configured):
        which = file_at(path)
        if fault := fault_of(path, seconds):
            warnings.append(set_aside(path, fault, which))
    return [sentence for sentence in warnings if sentence]


def set_aside(path: Path, fault: str, which: tuple[int, int] | None) -> str:
    """Move a damaged file and those beside it aside.

    Parameters
    ----------
    which
        Identity of the file that was found damaged; another one at its path is left alone.

    Returns
    -------
    str
        What to tell a person; empty where another process was quicker.
    """
    with FileLock(path.with_name("forecast_log.aside.lock")):
        if which is None or file_at(path) != which:
            return ""
        stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        aside = path.with_name(f"{path.name}{MARK}{stamp:%Y%m%dT%H%M%S%f}")
        for suffix in BESIDE:
            beside = path.with_name(f"{path.name}{suffix}")
            if beside.exists():
                beside.rename(aside.with_name(f"{aside.name}{suffix}"))
        flush(path.parent)
    warning = f"The forecast log {path} {fault}. It was moved to {aside.name}, and a new file begins. {LEFT}"
    logger.error(warning, extra={"log_file": path.name, "moved_to": aside.name})
    return warning


def moved_aside(configured: "Settings") -> list[Path]:
    """Damaged files that were moved aside and not salvaged yet, the oldest first."""
    found = [path for name in NAMES for path in configured.home.glob(f"{name}{MARK}*")]
    return sorted(
        path
        for path in found
        if not path.name.endswith(("-wal", "-shm", DONE)) and not path.with_name(f"{path.name}{DONE}").exists()
    )


def moved_from(path: Path) -> bool:
    """Whether a damaged file was moved aside from a path and still exists."""
    return next(path.parent.glob(f"{path.name}{MARK}*"), None) is not None


def _is_void(path: Path) -> bool:
    wal = path.with_name(f"{path.name}-wal")
    return path.stat().st_size == 0 and not (wal.exists() and wal.stat().st_size)


def _checked(path: Path, seconds: float) -> str:
    """First message of SQLite's quick check."""
    try:
        fault = check_pages(path, busy_seconds=seconds, seconds=seconds, read_only=False)
    except sqlite3.DatabaseError as error:
        return f"is damaged: {error}" if is_damage(error) else ""
    return f"is damaged: {' '.join(fault.split())}" if fault else ""
