"""Files of the forecast log: one SQLite file per answering process, and how they are opened."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from lake.disk import OWNER_ONLY
from lake.errors import ConfigError
from serving.forecast_log.shared_parts import WHOLE

if TYPE_CHECKING:
    from lake.settings import Settings

FILE = "forecast_log.sqlite"
BUSY_SECONDS = 10.0
SLOTS = 64
"""Most processes that may write at a time."""
NAMES = (FILE, *(f"forecast_log.{slot}.sqlite" for slot in range(1, SLOTS)))
"""Of the files, in the order of their slots."""
LAST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'forecasts'"
"""The last sequence number that was given out in a file; answered without a look at its forecasts."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS forecasts (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    forecast_id TEXT NOT NULL UNIQUE,
    row TEXT NOT NULL,
    answer TEXT NOT NULL,
    is_in_lake INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS waiting ON forecasts (sequence) WHERE is_in_lake = 0;
"""
SECOND = """
ALTER TABLE forecasts ADD COLUMN receipt TEXT NOT NULL DEFAULT '';
ALTER TABLE forecasts ADD COLUMN symbol TEXT AS (json_extract(row, '$.symbol'));
ALTER TABLE forecasts ADD COLUMN horizon_sessions INTEGER AS (json_extract(row, '$.horizon_sessions'));
ALTER TABLE forecasts ADD COLUMN kind TEXT AS (json_extract(row, '$.kind'));
CREATE INDEX newest ON forecasts (symbol, horizon_sessions, sequence) WHERE kind <> 'shadow';
PRAGMA user_version = 2;
"""
"""What came to the table of older homes: receipts, and columns that SQLite reads out of the row itself."""
THIRD = """
CREATE TABLE IF NOT EXISTS requests (forecast_id TEXT NOT NULL, key_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS requests_of ON requests (key_id);
PRAGMA user_version = 3;
"""
"""Which key a forecast was asked with, apart from it, so that it can be deleted (`serving.forecast_log.user_data`)."""
_OF_ROW = "{0} {1} AS (CASE WHEN json_valid(row) THEN json_extract(row, '$.{0}') END)"
FOURTH = ";\n".join(
    (
        "DROP INDEX newest",
        *(f"ALTER TABLE forecasts DROP COLUMN {name}" for name in ("symbol", "horizon_sessions", "kind")),
        "ALTER TABLE forecasts ADD COLUMN answer_part INTEGER",
        "ALTER TABLE forecasts ADD COLUMN receipt_part INTEGER",
        *(
            f"ALTER TABLE forecasts ADD COLUMN {_OF_ROW.format(name, kind)}"
            for name, kind in (
                ("symbol", "TEXT"),
                ("horizon_sessions", "INTEGER"),
                ("kind", "TEXT"),
                ("made_at", "TEXT"),
            )
        ),
        "CREATE INDEX newest ON forecasts (symbol, horizon_sessions, sequence) WHERE kind <> 'shadow'",
        "CREATE TABLE parts (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, content TEXT NOT NULL)",
        "CREATE INDEX parts_of_answers ON forecasts (answer_part) WHERE answer_part IS NOT NULL",
        "CREATE INDEX parts_of_receipts ON forecasts (receipt_part) WHERE receipt_part IS NOT NULL",
        "CREATE INDEX requests_about ON requests (forecast_id)",
        WHOLE,
        "PRAGMA user_version = 4",
        "",
    )
)
"""What answers and receipts share is stored once (`shared_parts`); a row that is no JSON any more can be deleted."""
NEWEST_VERSION = 4
WAITING, IN_LAKE, SET_APART = 0, 1, 2
"""Values of `is_in_lake`: not drained yet; in the lake; in quarantine or withdrawn, and never answered again."""
PAGE_BYTES = 8_192
"""Five forecasts lie on a page; of SQLite's own 4,096 bytes two would, and a third of the page be lost."""


def log_path(configured: "Settings", slot: int = 0) -> Path:
    """File of one writing process."""
    return configured.home / NAMES[slot]


def log_paths(configured: "Settings") -> list[Path]:
    """Existing log files in slot order; gaps are skipped."""
    try:
        present = set(os.listdir(configured.home))  # noqa: PTH208 - names are enough, and cheap
    except FileNotFoundError:
        return []
    return [configured.home / name for name in NAMES if name in present]


def size_of(path: Path) -> int:
    """Bytes of a file of the log with its write-ahead log."""
    beside = (path, path.with_name(f"{path.name}-wal"))
    return sum(path.stat().st_size for path in beside if path.exists())


def take_slot(configured: "Settings") -> tuple[Path, FileLock]:
    """Lock the first file that no living process writes to; released with the lock or when the process ends.

    Raises
    ------
    ConfigError
        If `SLOTS` processes write already.
    """
    configured.home.mkdir(parents=True, exist_ok=True)
    for slot in range(SLOTS):
        path = log_path(configured, slot)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        return path, lock
    raise ConfigError(f"{SLOTS} processes write forecasts to {configured.home} already. Stop some of them first.")


def open_log(path: Path) -> sqlite3.Connection:
    """Open a file in write-ahead mode; it is made, or brought up to date, if it is not there or older.

    It says who asked for what, so it is its owner's alone, and so are the files that SQLite puts beside it.
    With ``synchronous=FULL`` a commit returns when its rows would survive a loss of power.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        connection.text_factory = as_text
        _make_private(path)
        # Both only count in a file that nothing was written to yet.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if _version(connection) < NEWEST_VERSION:
            _bring_up_to_date(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def as_text(stored: bytes) -> str:
    """Text of a column; a byte that is no UTF-8 is kept as a lone surrogate, so that one row cannot hide the others."""
    return stored.decode("utf-8", "surrogateescape")


def _make_private(path: Path) -> None:
    """Make a file private, and the side files of SQLite that exist already; new ones inherit its mode."""
    for suffix in ("", "-wal", "-shm"):
        beside = path.with_name(f"{path.name}{suffix}")
        with suppress(FileNotFoundError):
            if beside.stat().st_mode & 0o777 != OWNER_ONLY:
                beside.chmod(OWNER_ONLY)


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    found = _version(connection)  # another process may have been quicker
    steps = ((2, SCHEMA + SECOND), (3, THIRD), (NEWEST_VERSION, FOURTH))
    for statement in ";\n".join(step for version, step in steps if found < version).split(";\n"):
        connection.execute(statement)
    connection.commit()


def _version(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number
