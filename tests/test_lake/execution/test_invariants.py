"""What holds in every market: nothing is lost, days add up, the future is not seen, and costs cost."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import ConfigError
from lake.execution import (
    NO_COSTS,
    AtClose,
    Book,
    Costs,
    Order,
    SimulatedPath,
    TradedPanel,
    VenueState,
    bracket,
    simulate,
    simulate_targets,
)
from support.execution_worlds import random_costs, random_panel, random_target_world
from support.properties import examples

SEEDS = st.integers(0, 2**32 - 1)
KNOBS = {
    "fee_bps": 5.0,
    "fee_per_share": 0.01,
    "fee_minimum": 50.0,
    "half_spread_bps": 5.0,
    "slippage_bps": 5.0,
    "impact_coefficient": 0.5,
}
"""Costs of an order, and by how much each is raised."""
ORDERS: dict[str, dict] = {
    "market": {},
    "on_open": {},
    "on_close": {},
    "limit": {"limit_price": 1.02},
    "stop": {"stop_price": 0.98},
    "stop_limit": {"stop_price": 0.98, "limit_price": 1.2},
    "trailing_stop": {"trail_fraction": 0.001},
}
"""Each kind of order with prices, as parts of the last close, at which a buy is filled at once or nearly so."""
PRICES = ("limit_price", "stop_price")


def random_orders(rng: np.random.Generator) -> Callable[[AtClose], list[Order]]:
    """Return a decision that sends orders of every kind, with brackets, in no sensible way."""

    def decide(now: AtClose) -> list[Order]:
        made: list[Order] = []
        for number, (symbol, close) in enumerate(now.closes.items()):
            kind = str(rng.choice(list(ORDERS)))
            side = float(rng.choice([-1.0, 1.0]))
            prices = {
                name: value if name == "trail_fraction" else close * (1 + rng.uniform(-0.05, 0.05))
                for name, value in ORDERS[kind].items()
            }
            in_force = "day" if kind in {"on_open", "on_close"} else str(rng.choice(["day", "gtc", "ioc"]))
            entry = Order(
                f"{now.session}/{number}",
                "backtest",
                symbol,
                side * float(rng.integers(1, 300)),
                kind,
                time_in_force=in_force,
                is_reduce_only=bool(rng.random() < 0.2),
                decided_at=now.time,
                **prices,
            )
            if rng.random() < 0.3:
                made += bracket(entry, target_price=close * (1 + side * 0.03), stop_price=close * (1 - side * 0.03))
            else:
                made.append(entry)
        return made

    return decide


@given(seed=SEEDS)
@examples(15)
def test_every_change_of_the_cash_has_its_fill_or_event(seed: int) -> None:
    rng = np.random.default_rng(seed)
    panel = random_panel(rng, 25, 4)
    path = simulate(panel, random_orders(rng), random_costs(rng), cash=1e5)
    moves = [fill.cash for fill in path.fills]
    moves += [change.amount for change in path.changes if change.kind != "split"]
    assert path.cash[-1] == pytest.approx(1e5 + sum(moves), rel=1e-12, abs=1e-6)
    held = {symbol: position.quantity * path.end.closes[symbol] for symbol, position in path.book.positions.items()}
    assert path.equity[-1] == pytest.approx(path.cash[-1] + sum(held.values()), rel=1e-12, abs=1e-6)
    assert path.book.costs == pytest.approx(
        sum(fill.cost for fill in path.fills) + path.book.borrow - path.book.interest + path.book.haircuts
    )
    assert all(min(fill.fee, fill.spread, fill.slippage, fill.impact) >= 0 for fill in path.fills)


@given(seed=SEEDS)
@examples(15)
def test_cash_and_positions_are_equity_at_every_bar(seed: int) -> None:
    world = random_target_world(seed)
    path = simulate_targets(world.panel, world.weights, world.costs, cash=world.cash)
    last = np.full(len(world.panel.symbols), np.nan)
    for t, close in enumerate(world.panel.close):
        last = np.where(np.isnan(close), last, close)
        values = np.where(path.positions[t] != 0, path.positions[t] * last, 0.0)
        assert path.equity[t] == pytest.approx(path.cash[t] + values.sum(), rel=1e-12, abs=1e-7)


@given(seed=SEEDS)
@examples(15)
def test_no_order_is_lost_or_filled_beyond_its_quantity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = simulate(random_panel(rng, 25, 3), random_orders(rng), random_costs(rng), cash=1e5)
    last = {state.order.order_id: state for state in path.states if state.reason != "an order with this identifier"}
    assert {order_id for order_id, state in last.items() if state.is_open} == {
        state.order.order_id for state in path.end.orders
    }
    assert [state.sequence for state in path.states] == list(range(1, len(path.states) + 1))
    for state in last.values():
        assert abs(state.filled) <= abs(state.order.quantity) * (1 + 1e-12)
        assert state.filled * state.order.quantity >= 0
        assert (state.status == "filled") == (state.remaining == 0)


def recorded(path: SimulatedPath) -> tuple:
    return path.fills, path.states, path.changes


@given(seed=SEEDS, cut=st.integers(1, 24))
@examples(10)
def test_day_by_day_is_one_shot(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    panel, costs = random_panel(rng, 25, 3), random_costs(rng)
    once = simulate(panel, random_orders(np.random.default_rng(seed)), costs, cash=1e5)
    decide = random_orders(np.random.default_rng(seed))
    end, parts = VenueState(Book(1e5)), []
    for first, stop in ((0, cut), (cut, 25)):

        def later(now: AtClose, first: int = first) -> list[Order]:
            return decide(now._replace(session=now.session + first))

        parts.append(simulate(panel.between(first, stop), later, costs, start=end))
        end = parts[-1].end
    assert end == once.end
    assert np.array_equal(np.r_[parts[0].equity, parts[1].equity], once.equity)
    assert tuple(a + b for a, b in zip(*map(recorded, parts), strict=True)) == recorded(once)


def cut_future(panel: TradedPanel, session: int) -> TradedPanel:
    """Return the panel with other prices after a session."""
    grids = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for grid in grids.values():
        grid[session + 1 :] *= 1.37
    return replace(panel, **grids)


@given(seed=SEEDS, session=st.integers(0, 23))
@examples(10)
def test_the_future_changes_nothing_before_it(seed: int, session: int) -> None:
    rng = np.random.default_rng(seed)
    panel, costs = random_panel(rng, 25, 3), random_costs(rng)
    paths = [
        simulate(each, random_orders(np.random.default_rng(seed)), costs, cash=1e5)
        for each in (panel, cut_future(panel, session))
    ]
    assert np.array_equal(paths[0].equity[: session + 1], paths[1].equity[: session + 1])
    until = panel.times[session]
    kept = [tuple(fill for fill in path.fills if fill.bar_time <= until) for path in paths]
    assert kept[0] == kept[1]


def test_what_is_decided_at_a_close_trades_from_the_next_open_on() -> None:
    rng = np.random.default_rng(5)
    path = simulate(random_panel(rng, 25, 3), random_orders(rng), NO_COSTS, cash=1e5)
    decided = {state.order.order_id: state.order.decided_at for state in path.states}
    assert path.fills
    assert all(fill.bar_time > decided[fill.order_id] for fill in path.fills)


@pytest.mark.parametrize("kind", list(ORDERS))
@given(seed=SEEDS)
@examples(4)
def test_each_cost_raised_alone_lowers_the_result_of_every_kind_of_order(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    panel = random_panel(rng, 12, 1, has_events=False)
    quantity = float(rng.integers(1, 100))

    def decide(now: AtClose) -> list[Order]:
        if now.session != 0:
            return []
        prices = {name: v * now.closes["S0"] if name in PRICES else v for name, v in ORDERS[kind].items()}
        in_force = "day" if kind in {"on_open", "on_close"} else "gtc"
        return [Order("o", "backtest", "S0", quantity, kind, time_in_force=in_force, **prices)]

    base = Costs(declared_volume_shares=5_000)
    before = simulate(panel, decide, base, cash=1e5)
    if not before.fills:
        return
    for knob, step in KNOBS.items():
        raised = replace(base, **{knob: getattr(base, knob) + step})
        assert simulate(panel, decide, raised, cash=1e5).equity[-1] < before.equity[-1], knob


@given(seed=SEEDS)
@examples(4)
def test_each_cost_of_holding_raised_alone_lowers_the_result(seed: int) -> None:
    rng = np.random.default_rng(seed)
    panel = random_panel(rng, 12, 2, has_events=False)
    ending = panel.ending.copy()
    ending[-1, 0] = 1.0
    panel = replace(panel, ending=ending)

    def decide(now: AtClose) -> list[Order]:
        sizes = {"S0": 100_000 / now.closes["S0"], "S1": -20_000 / now.closes["S1"]}
        return [Order(s, "backtest", s, float(q)) for s, q in sizes.items()] if now.session == 0 else []

    base = replace(NO_COSTS, delisting_haircut=0.1)
    before = simulate(panel, decide, base, cash=5e4).equity[-1]
    for knob, value in {"borrow_bps_a_year": 50, "margin_bps_a_year": 100, "delisting_haircut": 0.2}.items():
        assert simulate(panel, decide, replace(base, **{knob: value}), cash=5e4).equity[-1] < before, knob


def test_every_knob_of_costs_is_in_one_of_the_checks() -> None:
    held = {"borrow_bps_a_year", "margin_bps_a_year", "delisting_haircut"}
    no_costs = {"cash_bps_a_year", "days_a_year", "most_of_volume", "declared_volume_shares"}
    assert {knob.name for knob in fields(Costs)} == set(KNOBS) | held | no_costs


def test_a_simulation_needs_one_beginning() -> None:
    panel = random_panel(np.random.default_rng(1), 3, 1)
    with pytest.raises(ConfigError, match="either cash"):
        simulate(panel, lambda _: None, NO_COSTS)
