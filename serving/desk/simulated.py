"""The simulated broker: orders filled by `lake.execution` on a recorded stream of bars, in a file of its own."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lake.errors import ConfigError, ConflictError, LookAheadError
from lake.execution import Book, Costs, Fill, Order, OrderState, SimulatedVenue, TradedBar, VenueState
from serving.desk.broker import BrokerEvent, BrokerStatement
from serving.desk.encoding import bars_in, costs_in, fill_in, state_in, statement_in, text_of, venue_in
from serving.desk.sqlite import opened

Stream = Callable[[datetime, Mapping[str, float]], Sequence[tuple[datetime, Sequence[TradedBar]]]]
"""Sessions after an instant that have closed, each with its bars; it is told the last closes by symbol."""
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS accounts (account TEXT PRIMARY KEY, capital REAL, costs TEXT, opened TEXT, state TEXT)",
    (
        "CREATE TABLE IF NOT EXISTS events (account TEXT, sequence INTEGER, at TEXT, kind TEXT, body TEXT, "
        "PRIMARY KEY (account, sequence)) WITHOUT ROWID"
    ),
    "CREATE TABLE IF NOT EXISTS orders (account TEXT, order_id TEXT, body TEXT, PRIMARY KEY (account, order_id))",
    "CREATE TABLE IF NOT EXISTS bars (session TEXT PRIMARY KEY, body TEXT)",
)


class SimulatedBroker:
    """Fills the orders of its accounts against bars, session by session.

    It stands where a broker would: what it took is on its own disk before it answers, and it knows nothing of the desk.

    Parameters
    ----------
    path
        Its file.
    stream
        Where the bars of sessions that have closed come from. Each is written down before it is used, so that the
        stream can be played again.
    """

    name = "simulated"

    def __init__(self, path: Path, stream: Stream) -> None:
        self._path, self._stream = path, stream

    def open_account(self, account: str, capital: float, costs: Costs, at: datetime) -> None:
        """Open an account with cash alone; one that is there with the same terms stays.

        Raises
        ------
        ConflictError
            If it is there with other terms.
        """
        row = (account, capital, text_of(costs), _text(at))
        with self._file() as file, file:
            found = file.execute("SELECT account, capital, costs, opened FROM accounts WHERE account = ?", (account,))
            if (there := found.fetchone()) is not None:
                if there != row:
                    raise ConflictError(f"The account '{account}' is open at the broker with other terms: {there[1:]}.")
                return
            state = text_of(VenueState(Book(capital), at=at))
            file.execute("INSERT INTO accounts VALUES (?, ?, ?, ?, ?)", (*row, state))

    def submit(self, order: Order, at: datetime) -> OrderState:
        """Take an order; the same identifier again is refused, and changes nothing."""
        with self._file() as file, file:
            taken = file.execute(
                "SELECT 1 FROM orders WHERE account = ? AND order_id = ?", (order.account, order.order_id)
            )
            if taken.fetchone() is not None:
                return OrderState(order, "refused", 0, at, reason="an order of this identifier was taken before")
            venue = self._venue(file, order.account)
            state = venue.submit(order, at)
            self._write(file, venue, at, venue.drain_states())
            return state

    def cancel(self, order_id: str, at: datetime, reason: str) -> OrderState:
        """Take an open order back."""
        with self._file() as file, file:
            found = file.execute("SELECT account FROM orders WHERE order_id = ?", (order_id,)).fetchone()
            if found is None:
                raise ConfigError(f"The broker never took an order '{order_id}'.")
            venue = self._venue(file, found[0])
            state = venue.cancel(order_id, at, reason)
            self._write(file, venue, at, venue.drain_states())
            return state

    def events(self, account: str, after: int) -> Sequence[BrokerEvent]:
        """Return what happened since an event; sessions that have closed by now are played first."""
        with self._file() as file:
            with file:
                self._play(file)
            rows = file.execute(
                "SELECT sequence, at, kind, body FROM events WHERE account = ? AND sequence > ? ORDER BY sequence",
                (account, after),
            )
            return [_event(*row) for row in rows]

    def known_orders(self, account: str) -> Mapping[str, OrderState]:
        """Return every order that was taken, by identifier, in its newest state."""
        with self._file() as file:
            rows = file.execute("SELECT order_id, body FROM orders WHERE account = ?", (account,))
            return {order_id: state_in(json.loads(body)) for order_id, body in rows}

    def statement(self, account: str, at: datetime | None = None) -> tuple[datetime, BrokerStatement] | None:
        """Return the statement of a session, by default the newest, with its close; None where there is none."""
        asked = (
            "SELECT at, body FROM events WHERE account = ? AND kind = 'statement' AND (? IS NULL OR at = ?) "
            "ORDER BY sequence DESC LIMIT 1"
        )
        when = None if at is None else _text(at)
        with self._file() as file:
            found = file.execute(asked, (account, when, when)).fetchone()
        return None if found is None else (datetime.fromisoformat(found[0]), statement_in(json.loads(found[1])))

    def recorded(self) -> list[tuple[datetime, list[TradedBar]]]:
        """Return the stream as it was played, the oldest session first."""
        with self._file() as file:
            rows = file.execute("SELECT session, body FROM bars ORDER BY session")
            return [(datetime.fromisoformat(session), bars_in(body)) for session, body in rows]

    def _play(self, file: sqlite3.Connection) -> None:
        """Let every account trade the sessions that it has not traded, recorded ones first, then those that are new."""
        names = [name for (name,) in file.execute("SELECT account FROM accounts ORDER BY account")]
        venues = {name: self._venue(file, name) for name in names}
        if not venues:
            return
        oldest = min(venues.values(), key=_stands_at)
        last = file.execute("SELECT max(session) FROM bars").fetchone()[0]
        since = _stands_at(oldest) if last is None else datetime.fromisoformat(last)
        closes = next((venue.closes for venue in venues.values() if venue.at == since), oldest.closes)
        fresh = [(session, list(bars)) for session, bars in self._stream(since, closes)]
        file.executemany("INSERT INTO bars VALUES (?, ?)", [(_text(session), text_of(bars)) for session, bars in fresh])
        missed = file.execute(
            "SELECT session, body FROM bars WHERE session > ? AND session <= ? ORDER BY session",
            (_text(_stands_at(oldest)), _text(since)),
        )
        for session, bars in [*((datetime.fromisoformat(at), bars_in(body)) for at, body in missed), *fresh]:
            for venue in venues.values():
                if session > _stands_at(venue):
                    _refuse_hindsight(venue, session)
                    result = venue.trade(bars, session)
                    statement = BrokerStatement(venue.book, result.valuation, dict(venue.closes), result.changes)
                    self._write(file, venue, session, result.states, result.fills, statement)

    def _write(
        self,
        file: sqlite3.Connection,
        venue: SimulatedVenue,
        at: datetime,
        states: Sequence[OrderState],
        fills: Sequence[Fill] = (),
        statement: BrokerStatement | None = None,
    ) -> None:
        account = venue.account
        (last,) = file.execute("SELECT coalesce(max(sequence), 0) FROM events WHERE account = ?", (account,)).fetchone()
        happened: list[tuple[str, object]] = [("fill", each) for each in fills]
        happened += [("state", each) for each in states]
        happened += [("statement", statement)] if statement is not None else []
        file.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
            [(account, last + n, _text(at), kind, text_of(body)) for n, (kind, body) in enumerate(happened, 1)],
        )
        file.executemany(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?)",
            [(account, state.order.order_id, text_of(state)) for state in states],
        )
        file.execute("UPDATE accounts SET state = ? WHERE account = ?", (text_of(venue.state), account))

    def _venue(self, file: sqlite3.Connection, account: str) -> SimulatedVenue:
        found = file.execute("SELECT costs, state FROM accounts WHERE account = ?", (account,)).fetchone()
        if found is None:
            raise ConfigError(f"The simulated broker has no account '{account}'. `quantlake desk start` opens one.")
        return SimulatedVenue(costs_in(found[0]), venue_in(found[1]), account)

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        with opened(self._path, SCHEMA) as connection:
            yield connection


def _stands_at(venue: SimulatedVenue) -> datetime:
    """Return the last session that an account traded, or the close at which it was opened."""
    assert venue.at is not None
    return venue.at


def _refuse_hindsight(venue: SimulatedVenue, session: datetime) -> None:
    """Refuse to fill an order in a bar that its decision could know."""
    for state in venue.open_orders:
        decided = state.order.decided_at
        if decided is not None and decided >= session:
            raise LookAheadError(
                f"Order '{state.order.order_id}' was decided at {decided} and would trade in the bar that closes at "
                f"{session}; expected a later bar. A decision at a close trades from the next open on."
            )


def _event(sequence: int, at: str, kind: str, body: str) -> BrokerEvent:
    read, when = json.loads(body), datetime.fromisoformat(at)
    if kind == "fill":
        return BrokerEvent(sequence, when, fill=fill_in(read))
    if kind == "state":
        return BrokerEvent(sequence, when, state=state_in(read))
    return BrokerEvent(sequence, when, statement=statement_in(read))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
