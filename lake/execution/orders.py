"""Orders, what became of them, and their fills: values without behaviour beyond their own checks."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from lake.errors import ConfigError, UnknownNameError

OrderKind = Literal["market", "limit", "stop", "stop_limit", "trailing_stop", "on_open", "on_close"]
TimeInForce = Literal["day", "gtc", "ioc"]
OrderStatus = Literal["held", "working", "partly_filled", "filled", "cancelled", "expired", "refused"]
"""`held`: waits for a fill of its parent. `expired`: its time in force ended. `refused`: it was never possible."""

ORDER_KINDS: tuple[OrderKind, ...] = get_args(OrderKind)
TIMES_IN_FORCE: tuple[TimeInForce, ...] = get_args(TimeInForce)
OPEN_STATUSES: frozenset[OrderStatus] = frozenset({"held", "working", "partly_filled"})

_LIMITED: frozenset[OrderKind] = frozenset({"limit", "stop_limit"})
_STOPPED: frozenset[OrderKind] = frozenset({"stop", "stop_limit"})
_AUCTIONS: frozenset[OrderKind] = frozenset({"on_open", "on_close"})


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be traded, and under which conditions. Decided at a close, it trades from the next open on.

    Parameters
    ----------
    order_id
        Unique within the account; the same identifier submitted twice is refused.
    account
        Whose book it changes.
    symbol
        Instrument.
    quantity
        Shares as traded on the day of the decision: positive buys, negative sells. A split changes it.
    kind
        How the price is found; see docs/execution.md.
    limit_price
        Worst price per share; of kinds `limit` and `stop_limit` only.
    stop_price
        Price per share at which the order comes alive; of kinds `stop` and `stop_limit` only.
    trail_fraction
        Distance of a trailing stop from the best price since the decision, as a part of that price: .05 is 5 %.
    time_in_force
        `day`: until the end of the next session. `gtc`: until filled or cancelled. `ioc`: at the next open or not at
        all, and what is not filled there is cancelled.
    is_reduce_only
        Whether it may only make a position smaller: it is cut to the position, and cancelled where there is none.
    parent_id
        Order that must have a fill before this one comes alive; it is cancelled with a parent that ends without one.
    group
        Orders of the same group cancel one another: what one fills, the others lose.
    decided_at
        Instant of the decision, in UTC; None where an order is not part of a record.

    Raises
    ------
    UnknownNameError
        If there is no such kind or time in force.
    ConfigError
        If a price is missing, superfluous or not positive, or the quantity is zero or not a number.

    Examples
    --------
    >>> Order("o1", "paper", "AAA", -10.0, "stop", stop_price=95.0, time_in_force="gtc").is_buy
    False
    """

    order_id: str
    account: str
    symbol: str
    quantity: float
    kind: OrderKind = "market"
    limit_price: float | None = None
    stop_price: float | None = None
    trail_fraction: float | None = None
    time_in_force: TimeInForce = "day"
    is_reduce_only: bool = False
    parent_id: str | None = None
    group: str | None = None
    decided_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.kind not in ORDER_KINDS:
            raise UnknownNameError("kind of order", self.kind, ORDER_KINDS)
        if self.time_in_force not in TIMES_IN_FORCE:
            raise UnknownNameError("time in force", self.time_in_force, TIMES_IN_FORCE)
        if not math.isfinite(self.quantity) or self.quantity == 0:
            self._refuse(f"has a quantity of {self.quantity}; a number of shares other than 0 is needed")
        if self.kind == "market" and self.limit_price is self.stop_price is self.trail_fraction is None:
            return  # the usual order, checked first because a back-test makes many
        self._check_price("limit_price", self.limit_price, self.kind in _LIMITED)
        self._check_price("stop_price", self.stop_price, self.kind in _STOPPED)
        self._check_price("trail_fraction", self.trail_fraction, self.kind == "trailing_stop")
        if self.trail_fraction is not None and self.trail_fraction >= 1:
            self._refuse(f"has a trail_fraction of {self.trail_fraction}; it is a part of the price, below 1")
        if self.kind in _AUCTIONS and self.time_in_force != "day":
            self._refuse(
                f"is {self.kind} and {self.time_in_force}; an auction takes orders of time in force 'day' only"
            )

    @property
    def is_buy(self) -> bool:
        """Whether shares are bought."""
        return self.quantity > 0

    def after_split(self, ratio: float) -> "Order":
        """Return the order in new shares, `ratio` of them per old one, its prices divided by it."""
        return replace(
            self,
            quantity=self.quantity * ratio,
            limit_price=None if self.limit_price is None else self.limit_price / ratio,
            stop_price=None if self.stop_price is None else self.stop_price / ratio,
        )

    def with_quantity(self, quantity: float) -> "Order":
        """Return the order for another number of shares."""
        return replace(self, quantity=quantity)

    def _check_price(self, name: str, price: float | None, is_needed: bool) -> None:
        if price is None and is_needed:
            self._refuse(f"is of kind '{self.kind}' and has no {name}; give one")
        if price is not None and not is_needed:
            self._refuse(f"is of kind '{self.kind}', which has no {name}; leave it out")
        if price is not None and not (math.isfinite(price) and price > 0):
            self._refuse(f"has a {name} of {price}; a positive number is needed")

    def _refuse(self, problem: str) -> None:
        raise ConfigError(f"Order '{self.order_id}' of {self.symbol} {problem}.")


def bracket(entry: Order, *, target_price: float, stop_price: float) -> tuple[Order, Order, Order]:
    """Return an entry with a target and a stop that close it: good till cancelled, reduce-only, one cancels the other.

    Parameters
    ----------
    entry
        Order that opens the position.
    target_price, stop_price
        Prices per share; of a buy the target lies above the stop, of a sale below it.

    Raises
    ------
    ConfigError
        If target and stop lie the wrong way round.

    Examples
    --------
    >>> for order in bracket(Order("o1", "paper", "AAA", 10.0), target_price=110.0, stop_price=95.0):
    ...     print(order.order_id, order.kind, order.quantity, order.parent_id)
    o1 market 10.0 None
    o1/target limit -10.0 o1
    o1/stop stop -10.0 o1
    """
    if (target_price - stop_price) * entry.quantity <= 0:
        raise ConfigError(
            f"The bracket of order '{entry.order_id}' has its target at {target_price} and its stop at {stop_price}; "
            f"of a {'buy' if entry.is_buy else 'sale'} the target lies {'above' if entry.is_buy else 'below'} the stop."
        )
    closing = Order(
        f"{entry.order_id}/target",
        entry.account,
        entry.symbol,
        -entry.quantity,
        "limit",
        limit_price=target_price,
        time_in_force="gtc",
        is_reduce_only=True,
        parent_id=entry.order_id,
        group=f"{entry.order_id}/bracket",
        decided_at=entry.decided_at,
    )
    stop = replace(closing, order_id=f"{entry.order_id}/stop", kind="stop", limit_price=None, stop_price=stop_price)
    return entry, closing, stop


class OrderState(NamedTuple):
    """One order after a change: a row per change is its history.

    Parameters
    ----------
    order
        As it stands now: a split has changed its quantity and its prices.
    sequence
        Counts the changes of all orders of an account, from 1.
    changed_at
        Close of the bar in which it changed, or the instant at which it was submitted or cancelled.
    filled
        Shares filled so far, signed as the order, in the shares of now.
    reason
        Why it was refused, cancelled, shortened or ended; empty where the status says all.
    fee_raw
        Fee of its fills by rate, before the minimum of an order.
    fee_charged
        Fee of its fills as charged.
    mark
        Of a trailing stop: best price since the decision, per share of now; else None.
    is_triggered
        Whether a stop-limit has met its stop and waits as a limit.
    """

    order: Order
    status: OrderStatus
    sequence: int
    changed_at: datetime | None
    filled: float = 0.0
    reason: str = ""
    fee_raw: float = 0.0
    fee_charged: float = 0.0
    mark: float | None = None
    is_triggered: bool = False

    def after_split(self, ratio: float) -> "OrderState":
        """Return the state in new shares, `ratio` of them per old one."""
        return self._replace(
            order=self.order.after_split(ratio),
            filled=self.filled * ratio,
            mark=None if self.mark is None else self.mark / ratio,
            reason=f"split into {ratio:g} shares per share",
        )

    def changed(self, status: OrderStatus, reason: str, sequence: int, at: datetime | None) -> "OrderState":
        """Return the state after a change that leaves the rest as it is."""
        return OrderState(
            self.order,
            status,
            sequence,
            at,
            self.filled,
            reason,
            self.fee_raw,
            self.fee_charged,
            self.mark,
            self.is_triggered,
        )

    def after_fill(self, quantity: float, fee_raw: float, fee: float) -> "OrderState":
        """Return the state after a fill of so many shares."""
        order, _, sequence, at, filled, reason, _, charged, mark, is_triggered = self
        is_whole = quantity == order.quantity - filled
        return OrderState(
            order,
            "filled" if is_whole else "partly_filled",
            sequence,
            at,
            order.quantity if is_whole else filled + quantity,
            "" if is_whole else reason,
            fee_raw,
            charged + fee,
            mark,
            is_triggered,
        )

    @property
    def remaining(self) -> float:
        """Shares that are not filled, signed as the order."""
        return self.order.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Whether it can still have a fill."""
        return self.status in OPEN_STATUSES


class Fill(NamedTuple):
    """What an order got in one bar. Costs are amounts of money, never negative, beside the price and not in it.

    Parameters
    ----------
    fill_id
        Identifier of the order and, after a colon, the number of the fill among those of the order.
    quantity
        Shares as traded in that bar, signed as the order.
    price
        Price of the bar at which the order's rule puts it, before all costs, per share.
    fee, spread, slippage, impact
        Commission, half the spread, slippage, and the order's own effect on the price.
    bar_time
        Close of the bar.
    """

    fill_id: str
    order_id: str
    symbol: str
    quantity: float
    price: float
    fee: float
    spread: float
    slippage: float
    impact: float
    bar_time: datetime | None

    @property
    def cost(self) -> float:
        """All four costs together, in money."""
        return self.fee + self.spread + self.slippage + self.impact

    @property
    def cash(self) -> float:
        """What the account receives, costs deducted; negative for a buy."""
        return -self.quantity * self.price - self.cost

    @property
    def paid_price(self) -> float:
        """Price per share with all costs: above the price for a buy, below it for a sale."""
        return -self.cash / self.quantity
