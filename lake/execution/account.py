"""Where an account stands, and what a session brought to it: values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from lake.execution.book import Book, Valuation
from lake.execution.orders import Fill, Order, OrderState

ChangeKind = Literal["interest", "borrow", "split", "dividend", "delisted", "merged"]


class BookChange(NamedTuple):
    """What changed a book without an order.

    Parameters
    ----------
    symbol
        Instrument; empty for interest and borrow fees, which are of the account.
    amount
        Money received, negative when paid; of a split the new shares per old one.
    """

    kind: ChangeKind
    symbol: str
    amount: float
    time: datetime | None


class SessionResult(NamedTuple):
    """What one session brought: fills, every change of an order since the session before, and the book at its close."""

    fills: tuple[Fill, ...]
    states: tuple[OrderState, ...]
    changes: tuple[BookChange, ...]
    valuation: Valuation


@dataclass(frozen=True)
class VenueState:
    """All that a venue must know to go on after a restart, as values.

    Parameters
    ----------
    orders
        Open orders, in the order of their submission.
    closes
        Last close by symbol.
    ended
        Symbols that were delisted or merged.
    fills_of
        Fills so far by open order.
    submitted
        Identifiers of all orders that were ever submitted.
    sequence
        Changes of orders so far.
    at
        Close of the last session.
    """

    book: Book
    orders: tuple[OrderState, ...] = ()
    closes: Mapping[str, float] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    fills_of: Mapping[str, int] = field(default_factory=dict)
    submitted: frozenset[str] = frozenset()
    sequence: int = 0
    at: datetime | None = None


def why_impossible(order: Order, submitted: set[str], ended: set[str], open_orders: Mapping[str, OrderState]) -> str:
    """Return why an order can never be filled, empty if it can.

    Parameters
    ----------
    submitted
        Identifiers of all orders that were submitted before.
    ended
        Symbols that are no longer listed.
    open_orders
        By identifier.

    Examples
    --------
    >>> why_impossible(Order("o1", "paper", "AAA", 1.0), {"o1"}, set(), {})
    'an order with this identifier was submitted before'
    """
    parent = open_orders.get(order.parent_id or "")
    is_child, group = order.parent_id is not None, order.group
    members = open_orders.values() if group is not None else ()
    rules = {
        "an order with this identifier was submitted before": order.order_id in submitted,
        f"{order.symbol} is no longer listed": order.symbol in ended,
        f"its parent '{order.parent_id}' is not open: it ended, or was not submitted before": is_child and not parent,
        f"its parent '{order.parent_id}' is of another symbol": bool(parent and parent.order.symbol != order.symbol),
        f"its group '{group}' has orders of another symbol": any(
            each.order.group == group and each.order.symbol != order.symbol for each in members
        ),
    }
    return next((reason for reason, holds in rules.items() if holds), "")
