"""Cash and positions of an account, and what happens to them. Each function returns a new book and leaves the old one.

Cash plus positions is equity, at every step: `mark` computes it from the prices given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lake.execution.arithmetic import held_after
from lake.execution.orders import Fill


class Position(NamedTuple):
    """Shares held of one instrument, and what they cost on average.

    Parameters
    ----------
    quantity
        Shares as traded; negative when sold short.
    average_cost
        Price per share at which they were bought or sold short, costs of orders apart.
    """

    quantity: float
    average_cost: float


FLAT = Position(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Book:
    """Cash and positions by symbol, with what they have brought and cost so far.

    Parameters
    ----------
    cash
        Money; negative when borrowed.
    positions
        By symbol; no entry for an instrument that is not held.
    realised
        Gains of closed shares against their average cost, before costs of orders.
    fees, spread, slippage, impact
        Costs of orders so far.
    borrow
        Fees for shares sold short so far.
    interest
        Interest so far: received less paid.
    dividends
        Dividends so far: received less paid on shares sold short.
    haircuts
        Value lost at delistings so far.
    """

    cash: float
    positions: Mapping[str, Position] = field(default_factory=dict)
    realised: float = 0.0
    fees: float = 0.0
    spread: float = 0.0
    slippage: float = 0.0
    impact: float = 0.0
    borrow: float = 0.0
    interest: float = 0.0
    dividends: float = 0.0
    haircuts: float = 0.0

    def quantity(self, symbol: str) -> float:
        """Shares held; 0 where there are none."""
        return self.positions.get(symbol, FLAT).quantity

    @property
    def costs(self) -> float:
        """All that orders and positions have cost, interest paid less received included."""
        return self.fees + self.spread + self.slippage + self.impact + self.borrow - self.interest + self.haircuts


class Valuation(NamedTuple):
    """What a book is worth at given prices, in money.

    Parameters
    ----------
    equity
        Cash plus the value of all positions.
    gross
        Sum of the absolute values of the positions.
    """

    equity: float
    cash: float
    positions_value: float
    gross: float


def apply_fill(book: Book, fill: Fill) -> Book:
    """Return the book after a fill: cash changes by value and costs, the position by the quantity.

    Examples
    --------
    >>> book = apply_fill(Book(1_000.0), Fill("o1:1", "o1", "AAA", 10.0, 50.0, 1.0, 0.5, 0.25, 0.25, None))
    >>> book.cash, book.positions["AAA"], book.costs
    (498.0, Position(quantity=10.0, average_cost=50.0), 2.0)
    """
    held = book.positions.get(fill.symbol, FLAT)
    position, gained = _traded(held, fill.quantity, fill.price)
    return Book(
        book.cash - fill.quantity * fill.price - fill.cost,
        _with(book.positions, fill.symbol, position),
        book.realised + gained,
        book.fees + fill.fee,
        book.spread + fill.spread,
        book.slippage + fill.slippage,
        book.impact + fill.impact,
        book.borrow,
        book.interest,
        book.dividends,
        book.haircuts,
    )


def apply_split(book: Book, symbol: str, ratio: float) -> Book:
    """Return the book after a split into `ratio` new shares per old one; its value does not change.

    Examples
    --------
    >>> apply_split(Book(0.0, {"AAA": Position(10.0, 50.0)}), "AAA", 2.0).positions["AAA"]
    Position(quantity=20.0, average_cost=25.0)
    """
    held = book.positions.get(symbol, FLAT)
    return _replaced(book, symbol, Position(held.quantity * ratio, held.average_cost / ratio))


def apply_dividend(book: Book, symbol: str, per_share: float) -> Book:
    """Return the book after the ex-date of a dividend: holders receive it, who is short pays it.

    Examples
    --------
    >>> apply_dividend(Book(0.0, {"AAA": Position(-10.0, 50.0)}), "AAA", 0.4).cash
    -4.0
    """
    paid = book.quantity(symbol) * per_share
    return replace(book, cash=book.cash + paid, dividends=book.dividends + paid)


def apply_delisting(book: Book, symbol: str, last_price: float, haircut: float = 0.0) -> Book:
    """Return the book after an instrument ended: shares held become cash at the last price less the haircut.

    A merger is a delisting without a haircut. Who is short buys back at the last price.

    Examples
    --------
    >>> apply_delisting(Book(0.0, {"AAA": Position(10.0, 50.0)}), "AAA", 20.0, haircut=0.3).cash
    140.0
    """
    held = book.positions.get(symbol, FLAT)
    value = held.quantity * last_price
    lost = max(value, 0.0) * haircut
    closed = _replaced(book, symbol, FLAT)
    return replace(
        closed,
        cash=closed.cash + value - lost,
        realised=closed.realised + value - held.quantity * held.average_cost,
        haircuts=closed.haircuts + lost,
    )


def accrue(book: Book, interest: float, borrow: float) -> Book:
    """Return the book after interest was received (or paid, when negative) and a borrow fee paid, in money."""
    return replace(
        book,
        cash=book.cash + interest - borrow,
        interest=book.interest + interest,
        borrow=book.borrow + borrow,
    )


def mark(book: Book, prices: Mapping[str, float]) -> Valuation:
    """Value a book at prices by symbol.

    Raises
    ------
    KeyError
        If a symbol that is held has no price.

    Examples
    --------
    >>> mark(Book(100.0, {"AAA": Position(-2.0, 50.0)}), {"AAA": 60.0})
    Valuation(equity=-20.0, cash=100.0, positions_value=-120.0, gross=120.0)
    """
    values = [position.quantity * prices[symbol] for symbol, position in book.positions.items()]
    total = 0.0
    for value in values:  # in order, one by one, as the compiled twin adds
        total += value
    return Valuation(book.cash + total, book.cash, total, sum(map(abs, values)))


def _traded(held: Position, quantity: float, price: float) -> tuple[Position, float]:
    """Return the position after a trade and the gain of the shares that it closed."""
    after = held_after(held.quantity, quantity)
    if held.quantity * quantity >= 0:
        return Position(after, (held.quantity * held.average_cost + quantity * price) / after), 0.0
    if held.quantity * after >= 0:
        return Position(after, held.average_cost), -quantity * (price - held.average_cost)
    return Position(after, price), held.quantity * (price - held.average_cost)


def _with(positions: Mapping[str, Position], symbol: str, position: Position) -> Mapping[str, Position]:
    changed = dict(positions)
    if position.quantity == 0:
        changed.pop(symbol, None)
    else:
        changed[symbol] = position
    return changed


def _replaced(book: Book, symbol: str, position: Position) -> Book:
    return replace(book, positions=_with(book.positions, symbol, position))
