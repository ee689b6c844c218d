"""What an account holds and could come to hold: positions, open orders, prices, counts, scenarios.

Open orders are counted at their worst: each of them may fill alone, so the exposure of a symbol is the larger of what
it would be with every open buy filled, and with every open sale filled. Reduce-only orders cannot open anything.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lake.execution import Order
from serving.risk.tail import LEVELS, TailRisk, tail_of

Reals = npt.NDArray[np.float64]


@dataclass
class SymbolRisk:
    """One symbol of an account.

    Parameters
    ----------
    shares
        Held, negative where sold short.
    price, priced_at
        Last price in currency per share and when it was quoted, in seconds of the market's clock; None without one.
    volume_shares
        Mean daily volume; None where it is not known.
    opening_buys, opening_sells, closing_buys, closing_sells
        Shares of open orders, positive; closing are those that are reduce-only.
    ordered_shares
        Ordered in this session, bought and sold.
    """

    shares: float = 0.0
    price: float | None = None
    priced_at: float | None = None
    volume_shares: float | None = None
    opening_buys: float = 0.0
    opening_sells: float = 0.0
    closing_buys: float = 0.0
    closing_sells: float = 0.0
    ordered_shares: float = 0.0

    @property
    def high(self) -> float:
        """Shares with every opening buy filled."""
        return self.shares + self.opening_buys

    @property
    def low(self) -> float:
        """Shares with every opening sale filled."""
        return self.shares - self.opening_sells

    @property
    def is_idle(self) -> bool:
        """Whether there is neither a position nor an order that could open one."""
        return self.shares == 0 and self.opening_buys == 0 and self.opening_sells == 0

    @property
    def exposure(self) -> float:
        """Absolute notional at its worst, in currency; infinite where the price is not known."""
        if self.is_idle:
            return 0.0
        return math.inf if self.price is None else self.price * max(abs(self.high), abs(self.low))

    def closable(self, quantity: float, *, is_first: bool = False) -> float:
        """Return the shares of an order that close what is held, positive.

        Parameters
        ----------
        is_first
            Whether it goes before the open orders that close the same shares; else theirs are left to them.
        """
        if quantity * self.shares >= 0:
            return 0.0
        if is_first:
            return min(abs(quantity), abs(self.shares))
        waiting = self.opening_sells + self.closing_sells if quantity < 0 else self.opening_buys + self.closing_buys
        return min(abs(quantity), max(abs(self.shares) - waiting, 0.0))


class _Placed(NamedTuple):
    """An open order as it is counted: what is left of it, and its share of its group."""

    order: Order
    left: float


@dataclass
class RiskAccount:
    """Running figures of one account that the gate judges an order by; the gate itself changes nothing here.

    Parameters
    ----------
    equity
        Now, in currency.
    day_start_equity, peak_equity
        When the session began, and the highest so far.
    scenarios
        Return of each symbol in each scenario of the next session ``[scenario]``; none where there are no figures.
    """

    equity: float
    day_start_equity: float | None = None
    peak_equity: float | None = None
    symbols: dict[str, SymbolRisk] = field(default_factory=dict)
    scenarios: dict[str, Reals] = field(default_factory=dict)
    turnover: float = 0.0
    open_orders: dict[str, _Placed] = field(default_factory=dict)
    sent: deque[float] = field(default_factory=deque)
    parents: dict[str, float] = field(default_factory=dict)
    """Shares that children of an order, or of an instruction, may still send, by its id."""

    def __post_init__(self) -> None:
        """Start the session and the peak at the present equity where they are not given."""
        self.day_start_equity = self.equity if self.day_start_equity is None else self.day_start_equity
        self.peak_equity = max(self.equity, self.peak_equity or self.equity)

    def of(self, symbol: str) -> SymbolRisk:
        """Return the figures of a symbol; of one that is not known, none."""
        return self.symbols.get(symbol) or SymbolRisk()

    def hold(self, symbol: str, shares: float, **market: float | None) -> None:
        """Set a position, and `price`, `priced_at` and `volume_shares` with it."""
        line = self.symbols.setdefault(symbol, SymbolRisk())
        line.shares = shares
        for name, value in market.items():
            setattr(line, name, value)

    def instruct(self, parent_id: str, shares: float) -> None:
        """Declare an instruction whose children may send so many shares in all."""
        self.parents[parent_id] = abs(shares)

    def mark(self, equity: float) -> None:
        """Take over the equity of now."""
        self.equity = equity
        self.peak_equity = max(self.peak_equity or equity, equity)

    def place(self, order: Order, quantity: float, at: float) -> None:
        """Count an order that was allowed: it is open now.

        Parameters
        ----------
        quantity
            That was allowed, signed.
        at
            In seconds, as every other time given here.
        """
        line = self.symbols.setdefault(order.symbol, SymbolRisk())
        while self.sent and self.sent[0] <= at - 1.0:
            self.sent.popleft()
        self.sent.append(at)
        line.ordered_shares += abs(quantity)
        self.turnover += abs(quantity) * price_of(order, line)
        if order.parent_id is not None:
            self.parents[order.parent_id] = max(self.child_room(order) - self.new_in_group(order, quantity), 0.0)
        self.parents.setdefault(order.order_id, abs(quantity))
        self._recount(order.symbol, lambda: self.open_orders.update({order.order_id: _Placed(order, quantity)}))

    def fill(self, order_id: str, quantity: float) -> None:
        """Count a fill, signed as the order: of its group the others are cancelled."""
        placed = self.open_orders[order_id]
        symbol, group = placed.order.symbol, placed.order.group
        left = placed.left - quantity

        def change() -> None:
            self.symbols[symbol].shares += quantity
            if abs(left) < 1e-9:  # noqa: PLR2004 - shares that rounding left
                del self.open_orders[order_id]
            else:
                self.open_orders[order_id] = _Placed(placed.order, left)
            for other, each in list(self.open_orders.items()):
                if group is not None and other != order_id and each.order.group == group:
                    del self.open_orders[other]

        self._recount(symbol, change)

    def cancel(self, order_id: str) -> None:
        """Count an order as no longer open."""
        placed = self.open_orders[order_id]
        parent = placed.order.parent_id
        if parent in self.parents and placed.order.group is None:
            self.parents[parent] += abs(placed.left)
        self._recount(placed.order.symbol, lambda: self.open_orders.pop(order_id))

    def begin_session(self) -> None:
        """Start counting turnover, participation and the day's loss anew; ended orders and parents are forgotten."""
        kept = {*self.open_orders, *(each.order.parent_id for each in self.open_orders.values())}
        self.parents = {name: shares for name, shares in self.parents.items() if name in kept}
        self.turnover, self.day_start_equity = 0.0, self.equity
        for line in self.symbols.values():
            line.ordered_shares = 0.0

    def sent_since(self, at: float) -> int:
        """Return how many orders were sent within the second before an instant."""
        count = 0
        for sent in reversed(self.sent):
            if sent <= at - 1.0:
                break
            count += 1
        return count

    def child_room(self, order: Order) -> float:
        """Return the shares that children of the order's parent may still send; none where the parent is unknown."""
        return math.inf if order.parent_id is None else self.parents.get(order.parent_id, 0.0)

    def new_in_group(self, order: Order, quantity: float) -> float:
        """Return the shares that an order adds to its group, of which one alone is filled."""
        if order.group is None:
            return abs(quantity)
        return max(abs(quantity) - self.in_group(order), 0.0)

    def in_group(self, order: Order) -> float:
        """Return the largest open order of the group, in shares; 0 without a group."""
        if order.group is None:
            return 0.0
        return max(
            (abs(each.left) for each in self.open_orders.values() if each.order.group == order.group), default=0.0
        )

    @property
    def gross(self) -> float:
        """Sum of exposures at their worst, in currency."""
        return sum(line.exposure for line in self.symbols.values())

    @property
    def net(self) -> tuple[float, float]:
        """Signed sum with every open sale, and with every open buy filled, in currency."""
        busy = [line for line in self.symbols.values() if not line.is_idle]
        if any(line.price is None for line in busy):
            return -math.inf, math.inf
        low = sum(line.low * (line.price or 0.0) for line in busy)
        return low, sum(line.high * (line.price or 0.0) for line in busy)

    def profits(self, symbol: str = "", quantity: float = 0.0) -> Reals | None:
        """Return the profit in each scenario with every open order filled; None where a symbol has no scenarios.

        Parameters
        ----------
        symbol, quantity
            An order that is filled too.
        """
        total: Reals | None = None
        held = {name: line.shares + line.opening_buys - line.opening_sells for name, line in self.symbols.items()}
        held[symbol] = held.get(symbol, 0.0) + quantity
        for name, shares in held.items():
            if shares == 0:
                continue
            price = self.of(name).price
            if name not in self.scenarios or price is None:
                return None
            part = self.scenarios[name] * (shares * price)
            total = part if total is None else total + part
        return np.zeros(1) if total is None else total

    def tails(self, symbol: str = "", quantity: float = 0.0) -> dict[float, TailRisk] | None:
        """Return value at risk and expected shortfall as shares of equity, by level; None as for `profits`."""
        found = self.profits(symbol, quantity)
        return None if found is None else {level: tail_of(found / self.equity, level) for level in LEVELS}

    def _recount(self, symbol: str, change: Callable[[], object]) -> None:
        """Change the open orders, and count those of the symbol anew: of a group the largest on each side."""
        change()
        line = self.symbols[symbol]
        sums = {(is_buy, closes): 0.0 for is_buy in (True, False) for closes in (True, False)}
        groups: dict[tuple[str, bool, bool], float] = {}
        for placed in self.open_orders.values():
            order = placed.order
            if order.symbol != symbol:
                continue
            kind = (order.is_buy, order.is_reduce_only)
            if order.group is None:
                sums[kind] += abs(placed.left)
            else:
                grouped = (order.group, *kind)
                groups[grouped] = max(groups.get(grouped, 0.0), abs(placed.left))
        for (_, is_buy, closes), shares in groups.items():
            sums[is_buy, closes] += shares
        line.opening_buys, line.opening_sells = sums[True, False], sums[False, False]
        line.closing_buys, line.closing_sells = sums[True, True], sums[False, True]


def price_of(order: Order, line: SymbolRisk) -> float:
    """Return the price per share that an order is counted at: the highest of the last one and its own."""
    return max(line.price or 0.0, order.limit_price or 0.0, order.stop_price or 0.0)
