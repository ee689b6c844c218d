"""Salvages readable forecasts from a damaged log file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from serving.forecast_log.log_files import BUSY_SECONDS, SET_APART, as_text
from serving.forecast_log.verifying import Logged

MOST_QUERIES = 20_000
"""Of a file of which nothing can be read every question fails; so many, a few seconds' worth, are asked."""
RANGE = "SELECT sequence, forecast_id, row, answer, receipt, is_in_lake FROM {} WHERE sequence BETWEEN ? AND ?"
ONE = "SELECT sequence, forecast_id, row, answer, receipt, is_in_lake FROM {} WHERE sequence = ?"
"""A range is left by a look at the row after it, which may lie on a page that is damaged."""
BARE = "SELECT sequence, forecast_id, row, NULL, NULL, is_in_lake FROM forecasts WHERE sequence = ?"
ENDS = ("SELECT min(sequence) FROM forecasts", "SELECT max(sequence) FROM forecasts")
LAST = "SELECT max(seq) FROM sqlite_sequence"
VIEW = "SELECT count(*) FROM sqlite_master WHERE name = 'logged'"


@dataclass
class Salvaged:
    """Forecasts read from a damaged file.

    Parameters
    ----------
    rows
        Forecasts, in the order of their sequence numbers; a text that cannot be put together is None.
    unreadable
        Ranges of sequence numbers of which nothing could be read; forecasts that were deleted before are among them.
    is_complete
        Whether every number in between was asked for.
    """

    rows: list[Logged] = field(default_factory=list)
    unreadable: list[tuple[int, int]] = field(default_factory=list)
    is_complete: bool = True


def salvage(path: Path) -> Salvaged:
    """Read a damaged file of the log, page by page; rows that were set apart before are left out."""
    found = Salvaged()
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.text_factory = as_text
            # Lets SQLite read the pages that are there of a file that is shorter than its header says.
            connection.execute("PRAGMA writable_schema = ON")
            first, last = _extent(connection)
            table = "logged" if _first(connection, VIEW) else "forecasts"
            for row in _walk(connection, table, first, last, found):
                found.rows.append(row)
    except sqlite3.DatabaseError:
        found.is_complete = False
    found.rows.sort()
    return found


def _extent(connection: sqlite3.Connection) -> tuple[int, int]:
    """The first and the last sequence number there may be; (1, 0) where neither end can be read."""
    first, last = (_first(connection, query) for query in ENDS)
    last = last if last is not None else _first(connection, LAST)
    return first or 1, last or 0


def _first(connection: sqlite3.Connection, query: str) -> int | None:
    try:
        value: int | None = connection.execute(query).fetchone()[0]
    except sqlite3.DatabaseError:
        return None
    return value


def _walk(connection: sqlite3.Connection, table: str, first: int, last: int, found: Salvaged) -> Iterator[Logged]:
    """Read a range, and where that fails its halves, down to single numbers."""
    ranges, left = [(first, last)] if last >= first else [], MOST_QUERIES
    found.is_complete = bool(ranges)
    while ranges:
        low, high = ranges.pop()
        left -= 1
        if left < 0:
            found.unreadable += [(low, high), *ranges]
            found.is_complete = False
            return
        try:
            rows = _read(connection, RANGE.format(table), low, high)
        except sqlite3.DatabaseError:
            middle = (low + high) // 2
            if low < high:
                ranges += [(low, middle), (middle + 1, high)]
                continue
            rows = _alone(connection, table, low)
            if not rows:
                found.unreadable.append((low, high))
        yield from rows


def _alone(connection: sqlite3.Connection, table: str, sequence: int) -> list[Logged]:
    """One forecast, without what it shares with others where that cannot be read."""
    for query in (ONE.format(table), BARE):
        try:
            return _read(connection, query, sequence)
        except sqlite3.DatabaseError:
            continue
    return []


def _read(connection: sqlite3.Connection, query: str, *bound: int) -> list[Logged]:
    rows = connection.execute(query, bound).fetchall()
    return [Logged(*row[:-1]) for row in rows if row[-1] != SET_APART]
