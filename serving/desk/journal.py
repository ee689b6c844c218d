"""The desk's journal: every decision, vote, order and fill on disk before anything follows from it."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lake.errors import ConflictError
from lake.spec import INSTANT, TableSpec
from lake.tables import DECISIONS, EQUITY, FILLS, ORDERS, POSITIONS, VOTES
from serving.desk.account import DeskAccount
from serving.desk.sqlite import opened

Row = dict[str, Any]
KEPT: tuple[TableSpec, ...] = (DECISIONS, VOTES, ORDERS, FILLS, POSITIONS, EQUITY)
"""Tables whose rows begin in the journal."""
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, terms TEXT NOT NULL, event INTEGER DEFAULT 0)",
    (
        "CREATE TABLE IF NOT EXISTS rows (sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, "
        "key TEXT NOT NULL, about TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL, "
        "is_drained INTEGER NOT NULL DEFAULT 0, UNIQUE (kind, key))"
    ),
    "CREATE INDEX IF NOT EXISTS of_what ON rows (kind, about, sequence)",
    "CREATE INDEX IF NOT EXISTS of_when ON rows (kind, at)",
    "CREATE INDEX IF NOT EXISTS to_drain ON rows (is_drained, kind)",
)
_ABOUT = {
    DECISIONS.name: "account",
    VOTES.name: "decision_id",
    ORDERS.name: "order_id",
    FILLS.name: "order_id",
    POSITIONS.name: "account",
    EQUITY.name: "account",
}
"""Column by which rows of a table are looked up."""


class DeskJournal:
    """Rows of the desk's tables in a file of the home, written together or not at all.

    Parameters
    ----------
    path
        Its file; it is made by the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def accounts(self) -> list[DeskAccount]:
        """Return the accounts that were opened."""
        if not self.path.exists():
            return []
        with self._file() as file:
            return [
                DeskAccount.from_json(terms) for (terms,) in file.execute("SELECT terms FROM accounts ORDER BY name")
            ]

    def open_account(self, account: DeskAccount) -> None:
        """Write an account down.

        Raises
        ------
        ConflictError
            If there is one of that name.
        """
        with self._file() as file, file:
            if file.execute("SELECT 1 FROM accounts WHERE name = ?", (account.name,)).fetchone() is not None:
                raise ConflictError(
                    f"The account '{account.name}' is open already, and its terms never change. `quantlake desk "
                    "status` shows it."
                )
            file.execute("INSERT INTO accounts (name, terms) VALUES (?, ?)", (account.name, account.to_json()))

    def last_event(self, account: str) -> int:
        """Return the newest event of the broker that is written down."""
        with self._file() as file:
            found = file.execute("SELECT event FROM accounts WHERE name = ?", (account,)).fetchone()
            return int(found[0]) if found else 0

    def write(self, rows: Iterable[tuple[TableSpec, Row]], *, account: str = "", event: int | None = None) -> None:
        """Write rows down, all of them or none; they are on disk when this returns.

        Parameters
        ----------
        account, event
            The newest event of the broker that they come from: it is written with them, so that each event has its
            effect once.

        Raises
        ------
        ConflictError
            If a row of the same key is there.
        """
        with self._file() as file:
            try:
                with file:
                    for spec, row in rows:
                        self._insert(file, spec, row)
                    if event is not None:
                        file.execute("UPDATE accounts SET event = ? WHERE name = ?", (event, account))
            except sqlite3.IntegrityError as error:
                raise ConflictError(f"The journal of the desk has such a row already: {error}.") from error

    def rows(self, spec: TableSpec, about: str | None = None, at: datetime | None = None) -> list[Row]:
        """Return rows of a table in the order in which they were written.

        Parameters
        ----------
        about
            Account, order or decision that they concern; None for all.
        at
            Their event time; None for all.
        """
        if not self.path.exists():
            return []
        wanted, values = ["kind = ?"], [spec.name]
        if about is not None:
            wanted, values = [*wanted, "about = ?"], [*values, about]
        if at is not None:
            wanted, values = [*wanted, "at = ?"], [*values, _text(at)]
        with self._file() as file:
            found = file.execute(f"SELECT body FROM rows WHERE {' AND '.join(wanted)} ORDER BY sequence", values)  # noqa: S608 - declared words
            return [row_in(spec, body) for (body,) in found]

    def row(self, spec: TableSpec, key: str) -> Row | None:
        """Return the row of a key, or None."""
        if not self.path.exists():
            return None
        with self._file() as file:
            found = file.execute("SELECT body FROM rows WHERE kind = ? AND key = ?", (spec.name, key)).fetchone()
            return None if found is None else row_in(spec, found[0])

    def last_row(self, spec: TableSpec, about: str) -> Row | None:
        """Return the newest row about something, or None."""
        if not self.path.exists():
            return None
        asked = "SELECT body FROM rows WHERE kind = ? AND about = ? ORDER BY sequence DESC LIMIT 1"
        with self._file() as file:
            found = file.execute(asked, (spec.name, about)).fetchone()
            return None if found is None else row_in(spec, found[0])

    def waiting(self, spec: TableSpec, at_once: int) -> list[tuple[int, Row]]:
        """Return rows that are not in the lake yet, the oldest first, each with its number."""
        if not self.path.exists():
            return []
        asked = "SELECT sequence, body FROM rows WHERE is_drained = 0 AND kind = ? ORDER BY sequence LIMIT ?"
        with self._file() as file:
            return [(number, row_in(spec, body)) for number, body in file.execute(asked, (spec.name, at_once))]

    def mark_drained(self, numbers: Iterable[int]) -> None:
        """Note that rows are in the lake; they stay in the journal, from which decisions are made again."""
        with self._file() as file, file:
            file.executemany("UPDATE rows SET is_drained = 1 WHERE sequence = ?", [(number,) for number in numbers])

    def _insert(self, file: sqlite3.Connection, spec: TableSpec, row: Row) -> None:
        key = "|".join(_key_text(row[name]) for name in spec.key)
        body = json.dumps(row, default=_text, allow_nan=False, separators=(",", ":"))
        file.execute(
            "INSERT INTO rows (kind, key, about, at, body) VALUES (?, ?, ?, ?, ?)",
            (spec.name, key, row[_ABOUT[spec.name]], _text(row["event_time"]), body),
        )

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        with opened(self.path, SCHEMA) as connection:
            yield connection


def row_in(spec: TableSpec, body: str) -> Row:
    """Return a row of a table from JSON, with its instants."""
    row: Row = json.loads(body)
    instants = [name for name, dtype in spec.schema.items() if dtype == INSTANT and row.get(name) is not None]
    return row | {name: datetime.fromisoformat(row[name]) for name in instants}


def newest_states(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the newest row of each order, of rows of `orders` in the order in which they were written."""
    return {row["order_id"]: row for row in rows}


def _key_text(value: object) -> str:
    return _text(value) if isinstance(value, datetime) else str(value)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"{type(value).__name__} has no place in the journal of the desk")
