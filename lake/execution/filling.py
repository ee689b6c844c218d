"""At which price an order is filled in a bar, by its kind. The path in a bar is not known: the worse one is taken."""

from lake.execution.bars import TradedBar
from lake.execution.orders import OrderKind, OrderState

AT_OPEN, BY_STOP, BY_LIMIT, AT_CLOSE = range(4)
PHASES = (AT_OPEN, BY_STOP, BY_LIMIT, AT_CLOSE)
"""Order of fills in a bar: of a stop and a target that one bar reaches, the stop is filled."""
_PHASE_OF: dict[OrderKind, int] = {
    "market": AT_OPEN,
    "on_open": AT_OPEN,
    "stop": BY_STOP,
    "stop_limit": BY_STOP,
    "trailing_stop": BY_STOP,
    "limit": BY_LIMIT,
    "on_close": AT_CLOSE,
}


def phase_of(state: OrderState) -> int:
    """Return the phase of a bar in which an order can be filled."""
    return BY_LIMIT if state.is_triggered else _PHASE_OF[state.order.kind]


def meet(state: OrderState, bar: TradedBar) -> tuple[float | None, OrderState]:
    """Return the price of a fill in a bar, None for none, and the order with its trail or trigger as after the bar.

    A limit is filled only if the bar trades through it: a touch may have filled others in the queue before. An order
    of time in force `ioc` sees the open and nothing else of the bar.

    Examples
    --------
    >>> from lake.execution import Order
    >>> bar = TradedBar("AAA", None, 100.0, 104.0, 97.0, 101.0)
    >>> stop = Order("o1", "paper", "AAA", -10.0, "stop", stop_price=98.0)
    >>> meet(OrderState(stop, "working", 1, None), bar)[0]
    98.0
    """
    kind = state.order.kind
    if kind in {"market", "on_open"}:
        return bar.open, state
    if kind == "on_close":
        return bar.close, state
    if state.order.time_in_force == "ioc":
        bar = bar._replace(high=bar.open, low=bar.open, close=bar.open)
    if kind == "limit" or state.is_triggered:
        return _limit_price(state, bar), state
    if kind == "trailing_stop":
        return _trail(state, bar)
    price = _stop_price(state.order.stop_price or 0.0, bar, is_buy=state.order.is_buy)
    if kind == "stop" or price is None:
        return price, state
    limit = state.order.limit_price or 0.0
    is_within = price < limit if state.order.is_buy else price > limit
    return (price, state) if is_within else (None, state._replace(is_triggered=True))


def _limit_price(state: OrderState, bar: TradedBar) -> float | None:
    """At min(open, limit) of a buy, if the bar traded below the limit; the mirror image of a sale."""
    limit = state.order.limit_price or 0.0
    if state.order.is_buy:
        return min(bar.open, limit) if bar.low < limit else None
    return max(bar.open, limit) if bar.high > limit else None


def _stop_price(stop: float, bar: TradedBar, *, is_buy: bool) -> float | None:
    """At the worse of open and stop, if the bar reached the stop."""
    if is_buy:
        return max(bar.open, stop) if bar.high >= stop else None
    return min(bar.open, stop) if bar.low <= stop else None


def _trail(state: OrderState, bar: TradedBar) -> tuple[float | None, OrderState]:
    """Follow the best price: the open comes first, then the rest of the bar, of which the close is last."""
    fraction, is_buy = state.order.trail_fraction or 0.0, state.order.is_buy
    best, extreme = (min, bar.low) if is_buy else (max, bar.high)
    factor = 1 + fraction if is_buy else 1 - fraction
    mark = bar.open if state.mark is None else best(state.mark, bar.open)
    price = _stop_price(mark * factor, bar, is_buy=is_buy)
    if price is not None:
        return price, state._replace(mark=mark)
    mark = best(mark, extreme)
    stop = mark * factor
    is_behind = bar.close >= stop if is_buy else bar.close <= stop  # reached on the way from the extreme to the close
    return (stop if is_behind else None), state._replace(mark=mark)
