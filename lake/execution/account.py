"""Where an account stands, and what a session brought to it: values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from lake.errors import ConfigError
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

    Raises
    ------
    ConfigError
        If a position has no last close.
    """

    book: Book
    orders: tuple[OrderState, ...] = ()
    closes: Mapping[str, float] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    fills_of: Mapping[str, int] = field(default_factory=dict)
    submitted: frozenset[str] = frozenset()
    sequence: int = 0
    at: datetime | None = None

    def __post_init__(self) -> None:
        unpriced = sorted(set(self.book.positions) - set(self.closes))
        if unpriced:
            raise ConfigError(f"The account holds {', '.join(unpriced)} without a last close; give one in `closes`.")


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
    if order.order_id in submitted:
        return "an order with this identifier was submitted before"
    if order.symbol in ended:
        return f"{order.symbol} is no longer listed"
    if order.parent_id is not None:
        parent = open_orders.get(order.parent_id)
        if parent is None:
            return f"its parent '{order.parent_id}' is not open: it ended, or was not submitted before"
        if parent.order.symbol != order.symbol:
            return f"its parent '{order.parent_id}' is of another symbol"
    if order.group is not None:
        members = (each.order for each in open_orders.values())
        if any(each.group == order.group and each.symbol != order.symbol for each in members):
            return f"its group '{order.group}' has orders of another symbol"
    return ""
