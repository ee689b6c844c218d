"""The gate: one order, one account, the limits and the switch give allow, shrink or refuse, with the reason.

Nothing is read, sent or changed here, so the same question has the same answer in a back-test, a replay and live.
"""

import math
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Literal, NamedTuple

from lake.execution import Order
from serving.risk.exposures import RiskAccount, SymbolRisk, price_of
from serving.risk.limits import Limits
from serving.risk.states import SwitchState
from serving.risk.tail import LEVELS

GateAction = Literal["allow", "shrink", "refuse"]
UNKNOWN = "participation_of_volume (volume not known)"
TOLERANCE = 1e-9
"""Share of a limit that rounding may exceed it by."""


class Verdict(NamedTuple):
    """Answer of the gate.

    Parameters
    ----------
    action, quantity
        What may be sent: signed shares, 0 where the order is refused.
    limit
        Limit, or rule, that shrank or refused it; empty where it is allowed.
    reason
        For people, as a sentence.
    used, hard
        Figure with the whole order and its hard value, in the limit's unit; None where the rule has none.
    warnings
        Limits whose soft value is exceeded with the quantity that may be sent.
    """

    action: GateAction
    quantity: float
    limit: str = ""
    reason: str = ""
    used: float | None = None
    hard: float | None = None
    warnings: tuple[str, ...] = ()
    is_reduce_only: bool = False
    """Whether it has to be sent as a reduce-only order, so that it never turns a position round."""


class _Room(NamedTuple):
    """How many shares one limit leaves, and what the whole order would use of it."""

    limit: str
    shares: float
    used: float
    hard: float


def judge(
    order: Order,
    account: RiskAccount,
    limits: Limits,
    state: SwitchState,
    at: float,
    *,
    person: str = "",
    replaces: str = "",
) -> Verdict:
    """Judge one order.

    Parameters
    ----------
    state
        Of the order's account, strategy and symbol: `SwitchReading.state_of`.
    at
        Now, in seconds of the clock that the account's prices and orders are stamped with.
    person
        Name of the person who asks; empty where a strategy does. What a named person closes passes in every state.
    replaces
        Id of an open order in whose place this one comes: it is judged without that one, and counts as another order.

    Returns
    -------
    Verdict
        No figure that the order raises is above its hard value with the quantity that is allowed.
    """
    line = account.of(order.symbol)
    if replaces and replaces in account.open_orders:
        line, account = _without(account, replaces, order.symbol)
    if person.strip() and (own := line.closable(order.quantity, is_first=True)) > 0:
        return _closing(order, own, "position", "Only what is held is closed; the rest would open a position.")
    closable = line.closable(order.quantity)
    refusal = _by_state(state, closable) or next(_rules(order, account, line, limits, at), None)
    if refusal is not None:
        return refusal
    if state == "reducing":
        return _closing(order, closable, "switch", "Trading is reducing: the order is cut to what closes the position.")
    if (room := _child_room(order, account, limits)) < abs(order.quantity):
        return _cut_to_parent(order, account, limits, at, room)
    return _by_limits(order, account, line, limits, at)


def _by_state(state: SwitchState, closable: float) -> Verdict | None:
    """Refusal of the switch; None where the state lets the order, or a part of it, through."""
    if state == "halted":
        return _refusal("switch", "Trading is halted: only a named person may close positions.")
    if state == "reducing" and closable <= 0:
        return _refusal("switch", "Trading is reducing: only orders that lower a position pass.")
    return None


def _by_limits(order: Order, account: RiskAccount, line: SymbolRisk, limits: Limits, at: float) -> Verdict:
    """Judge the part of an order that opens a position; what closes one passes."""
    closable = line.closable(order.quantity)
    if closable >= abs(order.quantity) or order.is_reduce_only:
        return Verdict("allow", order.quantity)
    opening = next(_openings(order, account, line, limits, at), None)
    if opening is not None:
        return opening if closable <= 0 else _of(order, closable, opening.limit, opening.reason)
    return _sized(order, account, line, limits, closable)


def _rules(order: Order, account: RiskAccount, line: SymbolRisk, limits: Limits, at: float) -> Iterator[Verdict]:
    """Refusals that hold for every order of a strategy, those that close included."""
    if order.order_id in account.open_orders or order.order_id in account.parents:
        yield _refusal("order_id", f"An order '{order.order_id}' was sent already.")
    for name, count in (("orders_a_second", account.sent_since(at)), ("open_orders", len(account.open_orders))):
        if count + 1 > limits.bound(name).hard:
            hard = limits.bound(name).hard
            yield _refusal(name, f"{name} would be {count + 1}, and {hard:g} are allowed.", count + 1, hard)
    for price in (order.limit_price, order.stop_price):
        if price is not None and line.price is not None:
            away, hard = abs(price / line.price - 1), limits.price_collar_of_price.hard
            if away > hard:
                yield _refusal(
                    "price_collar_of_price", f"{price:g} is {away:.1%} from the last price {line.price:g}.", away, hard
                )


def _child_room(order: Order, account: RiskAccount, limits: Limits) -> float:
    """Shares that the order's parent leaves, in whole lots; those that share a group with an open child are its own."""
    room = account.child_room(order) + account.in_group(order)
    return room if room >= abs(order.quantity) - TOLERANCE else _lots(room, limits)


def _cut_to_parent(order: Order, account: RiskAccount, limits: Limits, at: float, room: float) -> Verdict:
    reason = f"Children of '{order.parent_id}' may send {room:g} shares more."
    if room <= 0:
        return _refusal("parent", reason, abs(order.quantity), room)
    found = judge(replace(order, quantity=math.copysign(room, order.quantity)), account, limits, "active", at)
    return found if found.action != "allow" else found._replace(action="shrink", limit="parent", reason=reason)


def _openings(order: Order, account: RiskAccount, line: SymbolRisk, limits: Limits, at: float) -> Iterator[Verdict]:
    """Refusals of whatever opens or enlarges a position."""
    if order.symbol in limits.restricted:
        yield _refusal("restricted", f"{order.symbol} is restricted: positions in it are only closed.")
    if not (math.isfinite(account.equity) and account.equity > 0):
        yield _refusal("equity", f"The account's equity is {account.equity:g}.")
    age = math.inf if line.priced_at is None or line.price is None else at - line.priced_at
    if age > limits.price_age_seconds.hard or line.price is None or not line.price > 0:
        hard = limits.price_age_seconds.hard
        said = "has no price" if line.price is None else f"has a price that is {age:,.0f} seconds old"
        yield _refusal("price_age_seconds", f"{order.symbol} {said}.", age, hard)
    unpriced = [name for name, each in account.symbols.items() if not each.is_idle and each.price is None]
    if unpriced:
        yield _refusal("price_age_seconds", f"{', '.join(unpriced)} is held or ordered and has no price.")
    for name, used in losses_of(account).items():
        if used > limits.bound(name).hard:
            yield _refusal(name, f"{name} is {used:.2%}.", used, limits.bound(name).hard)


def _sized(order: Order, account: RiskAccount, line: SymbolRisk, limits: Limits, closable: float) -> Verdict:
    """Cut the order to the least that a limit leaves, and judge its tail."""
    rooms = list(_rooms(order, account, line, limits))
    tightest = min(rooms, key=lambda room: room.shares)
    whole = abs(order.quantity)
    allowed = whole
    if tightest.shares < whole:
        allowed = max(_lots(tightest.shares, limits), closable)
    reason = f"{tightest.limit} would be {tightest.used:.4g}, and {tightest.hard:.4g} is allowed."
    if allowed <= 0:
        return _refusal(tightest.limit, reason, tightest.used, tightest.hard)
    signed = math.copysign(allowed, order.quantity)
    tail = None if allowed <= closable else _tail_refusal(order.symbol, signed, account, limits)
    if tail is not None:
        return tail if closable <= 0 else _of(order, closable, tail.limit, tail.reason)
    warnings = _warnings(order.symbol, account, limits, rooms)
    if allowed < whole:
        return Verdict("shrink", signed, tightest.limit, reason, tightest.used, tightest.hard, warnings)
    return Verdict("allow", order.quantity, warnings=warnings)


def _rooms(order: Order, account: RiskAccount, line: SymbolRisk, limits: Limits) -> Iterator[_Room]:
    """Shares that each limit leaves for the order, 0 or more, and what the whole of it would use."""
    equity, price, own = account.equity, line.price or math.nan, price_of(order, line)
    shares = abs(order.quantity)
    held = line.high if order.is_buy else -line.low  # with every order of the same side filled, along the order
    reached = price * max(abs(held + shares), abs(line.low if order.is_buy else line.high))

    def within(name: str, rest: float) -> _Room:
        """Room in the symbol where a sum has so much from elsewhere."""
        hard = limits.bound(name).hard
        return _Room(name, (hard * equity - rest) / price - held, (rest + reached) / equity, hard)

    bound = limits.order_of_equity.hard
    yield _Room("order_of_equity", bound * equity / own, shares * own / equity, bound)
    yield within("position_of_equity", 0.0)
    rest = account.gross - line.exposure
    yield within("gross_of_equity", rest)
    yield within("leverage", rest)
    sector = limits.sectors.get(order.symbol)
    if sector is not None:
        yield within("sector_of_equity", _sector(account, limits, sector) - line.exposure)
    low, high = account.net
    along = high if order.is_buy else -low
    bound = limits.net_of_equity.hard
    yield _Room("net_of_equity", (bound * equity - along) / price, (along + shares * price) / equity, bound)
    bound = limits.turnover_a_day_of_equity.hard
    used = (account.turnover + shares * own) / equity
    yield _Room("turnover_a_day_of_equity", (bound * equity - account.turnover) / own, used, bound)
    bound = limits.participation_of_volume.hard
    if not limits.participation_of_volume.is_off and line.volume_shares is not None:
        volume = max(line.volume_shares, TOLERANCE)
        used = (line.ordered_shares + shares) / volume
        yield _Room("participation_of_volume", bound * volume - line.ordered_shares, used, bound)


def losses_of(account: RiskAccount) -> dict[str, float]:
    """Return the loss of the session and the drawdown, by the names of their limits; 0 where there is none."""
    start, peak = account.day_start_equity or account.equity, account.peak_equity or account.equity
    return {
        "daily_loss_of_equity": max(1 - account.equity / start, 0.0),
        "drawdown_of_peak": max(1 - account.equity / peak, 0.0),
    }


def tail_figures(account: RiskAccount, symbol: str = "", quantity: float = 0.0) -> dict[str, float] | None:
    """Return value at risk and expected shortfall by the names of their limits; None where scenarios are missing."""
    found = account.tails(symbol, quantity)
    if found is None:
        return None
    figures = {}
    for level in LEVELS:
        figures[f"var_{level:.0%}_of_equity".replace("%", "")] = found[level].value_at_risk
        figures[f"es_{level:.0%}_of_equity".replace("%", "")] = found[level].expected_shortfall
    return figures


def _tail_refusal(symbol: str, quantity: float, account: RiskAccount, limits: Limits) -> Verdict | None:
    names = [f"{kind}_{level:.0%}_of_equity".replace("%", "") for kind in ("var", "es") for level in LEVELS]
    if all(limits.bound(name).is_off for name in names):
        return None
    then = tail_figures(account, symbol, quantity)
    if then is None:
        return _refusal(names[0], f"The value at risk with {symbol} is not known: a symbol has no scenarios.")
    beyond = [name for name in names if then[name] > limits.bound(name).hard]
    now = tail_figures(account) if beyond else None
    for name in beyond:
        hard = limits.bound(name).hard
        if now is None or then[name] > now[name]:
            return _refusal(name, f"{name} would be {then[name]:.4g}, and {hard:.4g} is allowed.", then[name], hard)
    return None


def _warnings(symbol: str, account: RiskAccount, limits: Limits, rooms: list[_Room]) -> tuple[str, ...]:
    soft = [room.limit for room in rooms if room.used > limits.bound(room.limit).soft]
    losses = [name for name, used in losses_of(account).items() if used > limits.bound(name).soft]
    blind = [] if limits.participation_of_volume.is_off or account.of(symbol).volume_shares is not None else [UNKNOWN]
    return tuple(soft + losses + blind)


def _sector(account: RiskAccount, limits: Limits, sector: str) -> float:
    return sum(line.exposure for name, line in account.symbols.items() if limits.sectors.get(name) == sector)


def _without(account: RiskAccount, order_id: str, symbol: str) -> tuple[SymbolRisk, RiskAccount]:
    """Return a copy of the account without one open order."""
    kept = copy(account)
    kept.symbols = {name: copy(line) for name, line in account.symbols.items()}
    kept.open_orders, kept.parents = dict(account.open_orders), dict(account.parents)
    kept.cancel(order_id)
    return kept.of(symbol), kept


def _lots(shares: float, limits: Limits) -> float:
    """Whole lots within so many shares."""
    return math.floor(max(shares, 0.0) / limits.lot_shares + TOLERANCE) * limits.lot_shares


def _closing(order: Order, shares: float, limit: str, reason: str) -> Verdict:
    """Allow so many shares, to be sent reduce-only."""
    return _of(order, shares, limit, reason)._replace(is_reduce_only=True)


def _of(order: Order, shares: float, limit: str, reason: str) -> Verdict:
    """Allow so many shares of an order: the whole of it, or shrunk with the reason."""
    if shares >= abs(order.quantity):
        return Verdict("allow", order.quantity)
    return Verdict("shrink", math.copysign(shares, order.quantity), limit, reason)


def _refusal(limit: str, reason: str, used: float | None = None, hard: float | None = None) -> Verdict:
    return Verdict("refuse", 0.0, limit, reason, used, hard)
