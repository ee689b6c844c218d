"""Random orders against the gate, and a brute-force oracle that fills every possible subset of the open orders."""

import random
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from lake.execution import Order, OrderKind
from serving.risk import Bound, Limits, RiskAccount, SwitchState, judge

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
LIMITS = Limits(
    order_of_equity=Bound(0.1, 0.2),
    position_of_equity=Bound(0.2, 0.3),
    sector_of_equity=Bound(0.3, 0.5),
    gross_of_equity=Bound(0.6, 0.9),
    net_of_equity=Bound(0.3, 0.6),
    leverage=Bound(0.6, 0.8),
    turnover_a_day_of_equity=Bound(2.0, 4.0),
    orders_a_second=Bound(3, 6),
    open_orders=Bound(6, 9),
    participation_of_volume=Bound(0.05, 0.1),
    sectors={"AAA": "one", "BBB": "one"},
    restricted=frozenset({"DDD"}),
    daily_loss_of_equity=Bound(0.02, 0.05),
)
STATES: tuple[SwitchState, ...] = ("active", "active", "active", "active", "reducing", "halted")
KINDS: tuple[OrderKind, ...] = ("market", "limit", "stop")
ROUNDING = 1e-9


class FuzzResult(NamedTuple):
    """What came of a run: orders asked, allowed, shrunk, and every figure that an order raised above its limit."""

    orders: int
    allowed: int
    shrunk: int
    breaches: list[str]


class _World:
    """One account, its open orders as the oracle keeps them, and how far each symbol could go."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.account = RiskAccount(equity=1e6, peak_equity=1.05e6)
        draws = np.random.default_rng(chance.randrange(2**31)).standard_t(5, size=(4, 60)) * 0.012
        for symbol, row in zip(SYMBOLS, draws, strict=True):
            price = chance.uniform(5, 400)
            held = chance.choice((0, 0, 1, -1)) * chance.randrange(1, 2_000)
            held = min(held, int(0.25e6 / price)) if held > 0 else max(held, -int(0.25e6 / price))
            volume = chance.choice((1e5, 1e6, None))
            self.account.hold(symbol, held, price=price, priced_at=0.0, volume_shares=volume)
            self.account.scenarios[symbol] = row
        self.opened: dict[str, tuple[Order, float]] = {}
        self.at, self.count = 0.0, 0

    def price(self, symbol: str) -> float:
        """Last price of a symbol; every one has one."""
        found = self.account.of(symbol).price
        assert found is not None
        return found

    def reach(self, symbol: str) -> tuple[float, float]:
        """Least and most shares over every subset of the open orders that can fill together."""
        held = self.account.of(symbol).shares
        choices: list[tuple[float, float]] = []
        groups: dict[str, list[float]] = {}
        for order, left in self.opened.values():
            if order.symbol == symbol and not order.is_reduce_only:
                if order.group is None:
                    choices.append((0.0, left))
                else:
                    groups.setdefault(order.group, [0.0]).append(left)
        ends = [held + sum(filled) for filled in product(*choices, *groups.values())]
        return min(ends), max(ends)

    def figures(self) -> dict[str, float]:
        """Every limited figure, from scratch."""
        reach = {symbol: self.reach(symbol) for symbol in SYMBOLS}
        price = {symbol: self.price(symbol) for symbol in SYMBOLS}
        worst = {symbol: price[symbol] * max(map(abs, reach[symbol])) for symbol in SYMBOLS}
        equity = self.account.equity
        found = {f"position {symbol}": worst[symbol] / equity / 0.3 for symbol in SYMBOLS}
        found["sector"] = (worst["AAA"] + worst["BBB"]) / equity / 0.5
        found["leverage"] = sum(worst.values()) / equity / 0.8
        found["net high"] = sum(price[s] * reach[s][1] for s in SYMBOLS) / equity / 0.6
        found["net low"] = -sum(price[s] * reach[s][0] for s in SYMBOLS) / equity / 0.6
        found["turnover"] = self.account.turnover / equity / 4.0
        return found

    def event(self) -> None:
        """Something between two orders: time, a fill, a cancellation, another price."""
        chance, kind = self.chance, self.chance.random()
        self.at += chance.choice((0.0, 0.05, 0.3, 1.0))
        if kind < 0.35 and self.opened:
            name = chance.choice(list(self.opened))
            order, left = self.opened[name]
            part = left if chance.random() < 0.6 else float(int(left / 2)) or left
            if order.is_reduce_only:  # the market cuts it to the position
                held = self.account.of(order.symbol).shares
                part = 0.0 if held * part >= 0 else float(np.sign(part)) * min(abs(part), abs(held))
            if part:
                self.account.fill(name, part)
                self.opened = {k: v for k, v in self.opened.items() if k in self.account.open_orders}
                if name in self.opened:
                    self.opened[name] = (order, left - part)
        elif kind < 0.5 and self.opened:
            name = chance.choice(list(self.opened))
            self.account.cancel(name)
            del self.opened[name]
        elif kind < 0.6:
            line = self.account.of(chance.choice(SYMBOLS))
            line.price = (line.price or 1.0) * chance.uniform(0.97, 1.03)
            line.priced_at = self.at

    def order(self) -> Order:
        """An order of any kind, some of them absurd."""
        chance = self.chance
        self.count += 1
        symbol = chance.choice(SYMBOLS)
        price = self.price(symbol)
        shares = float(int(chance.choice((0.01, 0.05, 0.1, 0.3, 3.0)) * 1e6 / price * chance.random()) + 1)
        quantity = chance.choice((-1, 1)) * shares
        if chance.random() < 0.2:
            quantity = -self.account.of(symbol).shares * chance.choice((0.5, 1.0, 2.0)) or quantity
        kind: OrderKind = chance.choice(KINDS)
        near = price * chance.uniform(0.85, 1.15)
        return Order(
            f"o{self.count}",
            "paper",
            symbol,
            float(int(quantity)) or 1.0,
            kind,
            limit_price=near if kind == "limit" else None,
            stop_price=near if kind == "stop" else None,
            time_in_force="gtc",
            is_reduce_only=chance.random() < 0.1,
            parent_id=chance.choice(list(self.opened)) if self.opened and chance.random() < 0.1 else None,
            group=chance.choice((None, None, None, f"g-{symbol}")),
        )


def fuzz(orders: int, seed: int) -> FuzzResult:
    """Ask the gate for so many random orders, in worlds of 200 each, and compare with the oracle."""
    chance = random.Random(seed)
    allowed = shrunk = asked = 0
    breaches: list[str] = []
    while asked < orders:
        world = _World(chance)
        for _ in range(200):
            asked += 1
            world.event()
            order, state = world.order(), chance.choice(STATES)
            person = "A. Reviewer" if chance.random() < 0.05 else ""
            before, held = world.figures(), world.account.of(order.symbol).shares
            sent = world.account.sent_since(world.at)
            verdict = judge(order, world.account, LIMITS, state, world.at, person=person)
            if verdict.action == "refuse":
                continue
            allowed += 1
            shrunk += verdict.action == "shrink"
            said = f"{order} {state} {person} {verdict}"
            is_closing = held * verdict.quantity < 0 and abs(verdict.quantity) <= abs(held)
            if verdict.quantity * order.quantity <= 0 or abs(verdict.quantity) > abs(order.quantity):
                breaches.append(f"quantity: {said}")
            if state == "halted" and not (person and is_closing):
                breaches.append(f"halted: {said}")
            if state == "reducing" and not is_closing:
                breaches.append(f"reducing: {said}")
            if order.symbol in LIMITS.restricted and not is_closing and not order.is_reduce_only:
                breaches.append(f"restricted: {said}")
            if not person and (sent >= 6 or len(world.opened) >= 9):
                breaches.append(f"rate: {said}")
            closes = verdict.is_reduce_only or order.is_reduce_only
            placed = _reduce_only(order, verdict.quantity) if closes else order
            world.account.place(placed, verdict.quantity, world.at)
            world.opened[order.order_id] = (placed, verdict.quantity)
            after = world.figures()
            if not (person or is_closing or order.is_reduce_only):
                breaches += [
                    f"{name} {after[name]:.6f} of its limit: {said}"
                    for name in after
                    if after[name] > 1 + ROUNDING and after[name] > before[name] + ROUNDING
                ]
    return FuzzResult(asked, allowed, shrunk, breaches)


def _reduce_only(order: Order, quantity: float) -> Order:
    return replace(order, quantity=quantity, is_reduce_only=True)
