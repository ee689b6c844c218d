"""How many shares an order gets in a bar, and what that fill costs."""

import math
from typing import NamedTuple

from lake.execution.arithmetic import fee_of, impact_of, within_borrow
from lake.execution.bars import TradedBar
from lake.execution.costs import Costs
from lake.execution.orders import Fill, OrderState


class Refusal(NamedTuple):
    """Why an order can have no fill at all."""

    reason: str
    is_nothing_to_reduce: bool = False


class Shortened(NamedTuple):
    """Shares of a fill after which the order ends, and why it ends."""

    quantity: float
    reason: str


def room_for(state: OrderState, bar: TradedBar, held: float, taken: float, costs: Costs) -> float | Shortened | Refusal:
    """Return the shares that an order gets, signed as it; 0 where the bar's volume is used up.

    Parameters
    ----------
    held
        Shares that the account holds.
    taken
        Shares of the bar's volume that earlier fills of the account took.

    Examples
    --------
    >>> from lake.execution import Order
    >>> bar = TradedBar("AAA", None, 100.0, 104.0, 97.0, 101.0, volume=1_000.0, volatility=0.02)
    >>> room_for(OrderState(Order("o1", "paper", "AAA", 500.0), "working", 1, None), bar, 0.0, 30.0, Costs())
    70.0
    """
    wanted, reason = state.remaining, ""
    if state.order.is_reduce_only:
        if held * wanted >= 0:
            return Refusal("reduce-only, and there is no position to reduce", is_nothing_to_reduce=True)
        if abs(wanted) > abs(held):
            wanted, reason = -held, "reduce-only, and the position is closed"
    lent = within_borrow(wanted, held, bar.borrowable)
    if lent == 0:
        return Refusal("no shares to borrow")
    if lent != wanted:
        wanted, reason = lent, "no more shares to borrow"
    if costs.needs_volume:
        if lack := lack_of(bar, costs):
            return Refusal(lack)
        if costs.most_of_volume is not None:
            room = max(costs.most_of_volume * volume_of(bar.volume, costs) - taken, 0.0)
            if abs(wanted) > room:
                return math.copysign(room, wanted)
    return Shortened(wanted, reason) if reason else wanted


def lack_of(bar: TradedBar, costs: Costs) -> str:
    """Return what the bar lacks without which a fill cannot be computed; empty if it lacks nothing."""
    if not volume_of(bar.volume, costs) > 0:
        return "the bar has no volume, so neither impact nor a part of it can be computed; declare one"
    if costs.impact_coefficient > 0 and math.isnan(bar.volatility):
        return "the bar has no volatility, so the impact cannot be computed"
    return ""


def volume_of(volume: float, costs: Costs) -> float:
    """Return the volume of a bar, or the declared one where the bar has none; NaN where neither is there."""
    if volume > 0:
        return volume
    return math.nan if costs.declared_volume_shares is None else costs.declared_volume_shares


def fill_of(
    state: OrderState, number: int, quantity: float, price: float, bar: TradedBar, taken: float, costs: Costs
) -> tuple[Fill, float]:
    """Return a fill with its costs, and the fee of the order so far by rate.

    Examples
    --------
    >>> from lake.execution import Order
    >>> bar = TradedBar("AAA", None, 100.0, 104.0, 97.0, 101.0, volume=10_000.0, volatility=0.02)
    >>> order = OrderState(Order("o1", "paper", "AAA", 100.0), "working", 1, None)
    >>> fill_of(order, 1, 100.0, 100.0, bar, 0.0, Costs(fee_minimum=2.5))[0]  # doctest: +NORMALIZE_WHITESPACE
    Fill(fill_id='o1:1', order_id='o1', symbol='AAA', quantity=100.0, price=100.0, fee=2.5, spread=2.0, slippage=2.0,
         impact=20.0, bar_time=None)
    """
    order, shares = state.order, abs(quantity)
    value = shares * price
    raw = state.fee_raw + value * (costs.fee_bps / 1e4) + shares * costs.fee_per_share
    impact = 0.0
    if costs.impact_coefficient > 0:
        strength = costs.impact_coefficient * bar.volatility
        impact = impact_of(shares, taken, price, strength, volume_of(bar.volume, costs))
    fill = Fill(
        f"{order.order_id}:{number}",
        order.order_id,
        order.symbol,
        quantity,
        price,
        fee_of(raw, state.fee_charged, costs.fee_minimum),
        value * (costs.half_spread_bps / 1e4),
        value * (costs.slippage_bps / 1e4),
        impact,
        bar.time,
    )
    return fill, raw
