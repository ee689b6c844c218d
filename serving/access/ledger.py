"""Ledger of accepted requests of the last hour, in one SQLite file: exact for all workers, independent of Redis.

A request is counted and judged in one write transaction, so two workers never accept the same last place of a key. The
file outlives workers and restarts. It needs no flush per request: a commit survives the end of any process, and a loss
of power forgets at most the last seconds.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from lake.disk import OWNER_ONLY, file_at
from lake.settings import Settings
from serving.access.keys import FOLDER, folder

logger = logging.getLogger("quantlake.access")
T = TypeVar("T")

FILE = "requests.db"
BESIDE = ("", "-wal", "-shm")
WINDOW_SECONDS = 3_600.0
BUSY_SECONDS = 0.25
"""Longest wait for another worker that writes; a write takes some fifty microseconds."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS hits (id INTEGER PRIMARY KEY, who TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS hits_of_key ON hits (who, at);
CREATE INDEX IF NOT EXISTS hits_by_age ON hits (at);
CREATE TABLE IF NOT EXISTS elsewhere (who TEXT PRIMARY KEY, hits INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
"""
PRIMARY_CODE = 0xFF
"""Mask of an error code of SQLite, without what the extended codes add."""
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class LedgerError(Exception):
    """The ledger cannot be read or written now; nothing was counted in it."""


class Taken(NamedTuple):
    """Decision of the ledger about one request.

    Parameters
    ----------
    is_allowed
        Whether the hit was within the limit, and so was counted.
    used
        Accepted requests of the hour, this one included where it is allowed.
    elsewhere
        Requests of the hour that Redis knew of and this home did not, when Redis answered last.
    oldest
        When the oldest of them was counted, in seconds since 1970.
    """

    is_allowed: bool
    used: int
    elsewhere: int
    oldest: float


class RequestLedger:
    """Hits of the keys with a limit. For one thread at a time; any number of processes.

    Parameters
    ----------
    settings
        Say which home.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.home / FOLDER / FILE
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def take(self, who: str, identifier: int, limit: int, now: float) -> Taken:
        """Count a request if the last hour has room for it; the check and the count are one transaction.

        Raises
        ------
        LedgerError
            If the file cannot be written; the request is not counted.
        """

        def count(connection: sqlite3.Connection) -> Taken:
            used, oldest = _used(connection, who, now)
            elsewhere = _elsewhere(connection, who, now)
            if used >= limit:
                return Taken(is_allowed=False, used=used, elsewhere=elsewhere, oldest=oldest or now)
            connection.execute("DELETE FROM hits WHERE at <= ?", (now - WINDOW_SECONDS,))
            connection.execute("INSERT INTO hits (id, who, at) VALUES (?, ?, ?)", (identifier, who, now))
            return Taken(is_allowed=True, used=used + 1, elsewhere=elsewhere, oldest=oldest or now)

        return self._write(count)

    def withdraw(self, identifier: int) -> None:
        """Forget a hit that was not accepted after all; one that stays by a failure only makes the limit stricter."""
        with suppress(LedgerError):
            self._write(lambda connection: connection.execute("DELETE FROM hits WHERE id = ?", (identifier,)))

    def learn(self, who: str, shared: int, now: float) -> None:
        """Remember how many more requests Redis counted than this home did, to start from while Redis is away.

        A failure is let pass: what was known before stands.
        """

        def remember(connection: sqlite3.Connection) -> None:
            more = shared - _used(connection, who, now)[0]
            if more > 0:
                connection.execute(
                    "INSERT OR REPLACE INTO elsewhere (who, hits, at) VALUES (?, ?, ?)", (who, more, now)
                )
            else:
                connection.execute("DELETE FROM elsewhere WHERE who = ?", (who,))

        with suppress(LedgerError):
            self._write(remember)

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._open() as connection:
                connection.execute("BEGIN IMMEDIATE")
                return change(connection)
        except sqlite3.Error as error:
            self._give_up(error)
            raise LedgerError(str(error)) from error
        except OSError as error:
            raise LedgerError(str(error)) from error

    def _open(self) -> sqlite3.Connection:
        """Return a connection to the file that lies at the path now; all workers must count in the same one."""
        if self._connection is not None and file_at(self._path, is_lenient=True) == self._file:
            return self._connection
        self.close()
        folder(self._settings)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))  # SQLite's other files take its mode
        self._file = file_at(self._path, is_lenient=True)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, check_same_thread=False)
        self._connection = connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(SCHEMA)
        return connection

    def _give_up(self, error: sqlite3.Error) -> None:
        """Close the file after an error; a damaged one is moved aside, and the next request makes a new one."""
        self.close()
        is_damaged = (getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE) in DAMAGED
        if not is_damaged or file_at(self._path, is_lenient=True) != self._file:
            return
        aside = f"{FILE}.damaged-{time.time_ns()}"
        logger.error("%s cannot be read (%s). It was moved to %s; limits are counted anew.", self._path, error, aside)
        for suffix in BESIDE:
            with suppress(FileNotFoundError):
                self._path.with_name(f"{FILE}{suffix}").rename(self._path.with_name(f"{aside}{suffix}"))


def _used(connection: sqlite3.Connection, who: str, now: float) -> tuple[int, float | None]:
    """How many requests of a key the last hour holds, and when the oldest of them was."""
    query = "SELECT count(*), min(at) FROM hits WHERE who = ? AND at > ?"
    used, oldest = connection.execute(query, (who, now - WINDOW_SECONDS)).fetchone()
    return int(used), oldest


def _elsewhere(connection: sqlite3.Connection, who: str, now: float) -> int:
    found = connection.execute(
        "SELECT hits FROM elsewhere WHERE who = ? AND at > ?", (who, now - WINDOW_SECONDS)
    ).fetchone()
    return 0 if found is None else int(found[0])
