"""The log file of one process: reopened at its path, with all pending rows, where it was moved or removed.

SQLite goes on writing to a file that has no name any more, so what it takes there would be lost with the process.
"""

import logging
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from lake.disk import file_at
from serving.forecast_log.damage import is_damage, moved_from, set_aside
from serving.forecast_log.log_files import LAST, open_log

WAITING = """
SELECT f.sequence, f.forecast_id, f.row, f.answer, f.receipt, r.key_id
FROM logged AS f LEFT JOIN requests AS r USING (forecast_id) WHERE f.is_in_lake = 0 ORDER BY f.sequence
"""
CARRY = "INSERT OR IGNORE INTO forecasts (sequence, forecast_id, row, answer, receipt) VALUES (?, ?, ?, ?, ?)"
CARRY_ASKED = "INSERT INTO requests (forecast_id, key_id) VALUES (?, ?)"

Waiting = tuple[int, str, str, str, str, str | None]

logger = logging.getLogger("quantlake.serving")


class KeptFile:
    """A connection to whatever file lies at a path. For one thread at a time.

    Parameters
    ----------
    path
        SQLite file; made when it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._carried: list[Waiting] = []
        self._last = 0
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self.connection()

    def connection(self) -> sqlite3.Connection:
        """Return a connection to the file at the path; undrained rows of a file that was moved away are copied into it.

        Raises
        ------
        sqlite3.Error, OSError
            If no file can be made there; nothing is lost by that, and the next call tries again.
        """
        if self._connection is not None and file_at(self._path) == self._identity:
            return self._connection
        if self._connection is not None:
            self._leave(self._connection)
            self._connection = None
        return self._begin()

    def give_up(self, error: sqlite3.DatabaseError) -> None:
        """Move a file aside that SQLite found damaged; what waits in it and can be read is carried to the next one."""
        set_aside(self._path, f"is damaged: {error}", self._identity or file_at(self._path))

    def close(self) -> None:
        """Close the file."""
        try:
            self.connection()
        except (sqlite3.Error, OSError):
            logger.exception("the forecast log left its path, and cannot be begun anew there")
        if self._connection is not None:
            self._connection.close()

    def _leave(self, connection: sqlite3.Connection) -> None:
        """Take along what waits, and leave a file that is whole, wherever it is now."""
        logger.warning("the forecast log was moved or removed; it begins anew", extra={"log_file": self._path.name})
        try:
            self._last = connection.execute(LAST).fetchone()[0]
            self._carried = connection.execute(WAITING).fetchall()
        except sqlite3.Error:
            logger.exception("what waited in the forecast log that was moved or removed cannot be read")
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()

    def _opened(self) -> sqlite3.Connection:
        """Open the file at the path; a damaged one is moved aside first."""
        which = file_at(self._path)
        try:
            return open_log(self._path)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            set_aside(self._path, f"is damaged: {error}", which)
            return open_log(self._path)

    def _begin(self) -> sqlite3.Connection:
        if file_at(self._path) is None:
            # What SQLite shares between processes about the file that left must not be taken for the new one's.
            self._path.with_name(f"{self._path.name}-shm").unlink(missing_ok=True)
        connection = self._opened()
        last = max(self._last, _after_damage(self._path))
        try:
            if self._carried or last:
                _carry(connection, self._carried, last)
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity, self._carried = connection, file_at(self._path), []
        return connection


def _after_damage(path: Path) -> int:
    """A sequence number that no damaged file moved away from a path can have reached; 0 where there is none.

    How far such a file had counted cannot always be read of it. A millisecond writes less than one forecast in the
    long run, so the clock, in milliseconds, has counted further.
    """
    return time.time_ns() // 1_000_000 if moved_from(path) else 0


def _carry(connection: sqlite3.Connection, waiting: list[Waiting], last: int) -> None:
    """Write what waited, under the same sequence numbers if the file is new, and let it count on from there."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        is_new = connection.execute(LAST).fetchone()[0] == 0
        for sequence, forecast_id, row, answer, receipt, key_id in waiting:
            values = sequence if is_new else None, forecast_id, row, answer, receipt
            if connection.execute(CARRY, values).rowcount and key_id is not None:
                connection.execute(CARRY_ASKED, (forecast_id, key_id))
        if is_new:
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'forecasts'")
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('forecasts', ?)", (last,))
