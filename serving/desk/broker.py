"""The port to a broker: submit, cancel, events. The desk knows no broker beyond it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lake.execution import Book, BookChange, Fill, Order, OrderState, Valuation


@dataclass(frozen=True)
class BrokerEvent:
    """What a broker reports: a change of an order, a fill, or the statement of a session.

    Parameters
    ----------
    sequence
        Counts the events of an account from 1, without a gap.
    at
        Close of the bar in which it happened, or market time of a submission.
    state, fill, statement
        Exactly one of them is there.
    """

    sequence: int
    at: datetime
    state: OrderState | None = None
    fill: Fill | None = None
    statement: "BrokerStatement | None" = None


@dataclass(frozen=True)
class BrokerStatement:
    """What a broker says of an account at the close of a session.

    Parameters
    ----------
    book
        Cash and positions, with costs so far.
    valuation
        What it is worth at the last closes.
    closes
        Last close by symbol, as traded.
    changes
        What changed the book without an order.
    """

    book: Book
    valuation: Valuation
    closes: Mapping[str, float]
    changes: tuple[BookChange, ...] = ()


class Broker(Protocol):
    """Takes orders under the identifiers that the desk gives them, and reports what becomes of them."""

    name: str

    def submit(self, order: Order, at: datetime) -> OrderState:
        """Take an order; it is durable when this returns. The same identifier is never taken twice."""
        ...

    def cancel(self, order_id: str, at: datetime, reason: str) -> OrderState:
        """Take an order back."""
        ...

    def events(self, account: str, after: int) -> Sequence[BrokerEvent]:
        """Return what happened since an event, the oldest first."""
        ...

    def known_orders(self, account: str) -> Mapping[str, OrderState]:
        """Return every order that was ever taken, by identifier, in its newest state."""
        ...

    def statement(self, account: str, at: datetime | None = None) -> tuple[datetime, BrokerStatement] | None:
        """Return the statement of a session, by default the newest, with its close; None where there is none."""
        ...
