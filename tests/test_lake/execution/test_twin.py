"""The vectorised back-test is the event engine: equity, cash and every cost, in markets where everything happens."""

import numpy as np
import pytest

from lake.errors import ConfigError, UnknownNameError
from lake.execution import SimulatedPath, TargetPath, simulate, simulate_targets, target_loop
from support.execution_worlds import TargetWorld, random_target_world

QUICK, ALL = range(30), range(30, 1_000)


def by_event(world: TargetWorld) -> SimulatedPath:
    return simulate(world.panel, lambda now: world.targets_at(now.session), world.costs, cash=world.cash)


def vectorised(world: TargetWorld, arithmetic: str) -> TargetPath:
    return simulate_targets(
        world.panel,
        world.weights,
        world.costs,
        cash=world.cash,
        fill_at=world.fill_at,
        time_in_force=world.time_in_force,
        lot_shares=world.lot_shares,
        arithmetic=arithmetic,
    )


def check_equal(world: TargetWorld) -> SimulatedPath:
    event = by_event(world)
    book, size = event.book, world.cash
    ended = (book.fees, book.spread, book.slippage, book.impact, book.borrow, book.interest)
    for arithmetic in ("compiled", "numpy"):
        twin = vectorised(world, arithmetic)
        np.testing.assert_allclose(twin.equity, event.equity, rtol=1e-9, atol=1e-9 * size)
        np.testing.assert_allclose(twin.cash, event.cash, rtol=1e-9, atol=1e-9 * size)
        np.testing.assert_allclose(twin.gross, event.gross, rtol=1e-9, atol=1e-9 * size)
        costs = [path[-1] for path in twin.costs.values()]
        np.testing.assert_allclose(costs, [*ended, book.dividends, book.haircuts], rtol=1e-9, atol=1e-9 * size)
        assert twin.fills == len(event.fills)
        assert twin.orders == len({state.order.order_id for state in event.states})
        held = [book.quantity(symbol) for symbol in world.panel.symbols]
        np.testing.assert_allclose(twin.positions[-1], held, rtol=1e-9, atol=1e-9)
    return event


def test_thirty_worlds_end_the_same_in_both() -> None:
    paths = [check_equal(random_target_world(seed)) for seed in QUICK]
    states = [state for path in paths for state in path.states]
    assert {state.status for state in states} >= {"filled", "partly_filled", "expired", "cancelled", "refused"}
    assert {change.kind for path in paths for change in path.changes} == {
        "interest",
        "borrow",
        "split",
        "dividend",
        "delisted",
        "merged",
    }


@pytest.mark.slow
def test_a_thousand_worlds_end_the_same_in_both() -> None:
    for seed in ALL:
        check_equal(random_target_world(seed))


def test_the_compiled_loop_computes_what_its_python_says(monkeypatch: pytest.MonkeyPatch) -> None:
    world = random_target_world(3)
    compiled = vectorised(world, "compiled")
    monkeypatch.setattr("lake.execution.targets.compiled_run", lambda: target_loop.run)
    plain = vectorised(world, "compiled")
    assert np.array_equal(compiled.equity, plain.equity)
    assert np.array_equal(compiled.traded, plain.traded)


def test_weights_that_do_not_fit_are_refused() -> None:
    world = random_target_world(1)
    with pytest.raises(ConfigError, match="have the shape"):
        simulate_targets(world.panel, world.weights[1:], world.costs, cash=1.0)
    with pytest.raises(ConfigError, match="A weight is infinite"):
        simulate_targets(world.panel, np.full_like(world.weights, np.inf), world.costs, cash=1.0)
    with pytest.raises(UnknownNameError, match=r"no arithmetic 'fortran'.*compiled, numpy"):
        simulate_targets(world.panel, world.weights, world.costs, cash=1.0, arithmetic="fortran")
    with pytest.raises(UnknownNameError, match=r"no time of fills 'noon'\. Did you mean open"):
        simulate_targets(world.panel, world.weights, world.costs, cash=1.0, fill_at="noon")
    with pytest.raises(ConfigError, match="filled at the close are of time in force 'day'"):
        simulate_targets(world.panel, world.weights, world.costs, cash=1.0, fill_at="close", time_in_force="gtc")
