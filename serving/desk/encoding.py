"""Orders, fills, books and bars as JSON texts and back: every number keeps its bits."""

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from lake.execution import (
    Book,
    BookChange,
    Costs,
    Fill,
    Order,
    OrderState,
    Position,
    TradedBar,
    Valuation,
    VenueState,
)
from serving.desk.broker import BrokerStatement


def text_of(value: Any) -> str:
    """Return one of the values below as JSON, in the order of its entries: sums over a book follow that order."""
    return json.dumps(_plain(value), separators=(",", ":"))


def order_in(read: dict[str, Any]) -> Order:
    """Return an order from plain values."""
    return Order(**(read | {"decided_at": _instant(read["decided_at"])}))


def state_in(read: dict[str, Any]) -> OrderState:
    """Return the state of an order from plain values."""
    return OrderState(**(read | {"order": order_in(read["order"]), "changed_at": _instant(read["changed_at"])}))


def fill_in(read: dict[str, Any]) -> Fill:
    """Return a fill from plain values."""
    return Fill(**(read | {"bar_time": _instant(read["bar_time"])}))


def book_in(read: dict[str, Any]) -> Book:
    """Return a book from plain values."""
    return Book(**(read | {"positions": {symbol: Position(*held) for symbol, held in read["positions"].items()}}))


def bars_in(text: str) -> list[TradedBar]:
    """Return the bars of a session from JSON; a number that is not known is NaN."""
    return [TradedBar(**(each | {"time": _instant(each["time"])})) for each in json.loads(text)]


def statement_in(read: dict[str, Any]) -> BrokerStatement:
    """Return a statement from plain values."""
    changes = tuple(BookChange(**(each | {"time": _instant(each["time"])})) for each in read["changes"])
    return BrokerStatement(book_in(read["book"]), Valuation(**read["valuation"]), read["closes"], changes)


def costs_in(text: str) -> Costs:
    """Return costs from JSON."""
    return Costs(**json.loads(text))


def venue_in(text: str) -> VenueState:
    """Return where a simulated venue stands, from JSON."""
    read = json.loads(text)
    return VenueState(
        book=book_in(read["book"]),
        orders=tuple(state_in(each) for each in read["orders"]),
        closes=read["closes"],
        ended=frozenset(read["ended"]),
        fills_of=read["fills_of"],
        submitted=frozenset(read["submitted"]),
        sequence=read["sequence"],
        at=_instant(read["at"]),
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it; a position is a pair, every other value an object of its fields."""
    if isinstance(value, str | float | int | None):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Position) or type(value) in {list, tuple}:
        return [_plain(each) for each in value]
    return {name: _plain(each) for name, each in _fields(value)}


def _fields(value: Any) -> Iterable[tuple[str, Any]]:
    if is_dataclass(value):
        return [(each.name, getattr(value, each.name)) for each in fields(value)]
    return list(value._asdict().items() if hasattr(value, "_asdict") else value.items())


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
