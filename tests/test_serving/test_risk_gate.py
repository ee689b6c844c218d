"""The gate: what it lets through by each limit, and that nothing random passes a limit."""

from dataclasses import replace

import numpy as np
import pytest

from lake.errors import ConfigError, UnknownNameError
from lake.execution import Order, bracket
from serving.risk import Bound, Limits, RiskAccount, RiskGuard, judge, parse_limits, read_latch, resume
from support.order_fuzz import fuzz

NO_TAIL = {f"{kind}_{level}_of_equity": Bound(9, 9) for kind in ("var", "es") for level in (95, 99)}
LIMITS = Limits(**NO_TAIL)


def account(**shares: float) -> RiskAccount:
    """One million, every symbol at 100 with ten million shares of volume."""
    made = RiskAccount(equity=1e6)
    for symbol in ("AAA", "BBB", "CCC"):
        made.hold(symbol, shares.get(symbol, 0.0), price=100.0, priced_at=0.0, volume_shares=1e7)
        made.scenarios[symbol] = np.linspace(-0.03, 0.03, 101)
    return made


def order(quantity: float, symbol: str = "AAA", name: str = "o1", **others: object) -> Order:
    return Order(name, "paper", symbol, quantity, **others)


def test_an_order_within_every_limit_passes_whole():
    assert judge(order(900), account(), LIMITS, "active", 0.0) == ("allow", 900.0, "", "", None, None, (), False)


@pytest.mark.parametrize(
    ("limits", "asked", "held", "allowed", "limit"),
    [
        ({"order_of_equity": Bound(0.05, 0.05)}, 900, 0, 500, "order_of_equity"),
        ({"position_of_equity": Bound(0.1, 0.1)}, 900, 400, 600, "position_of_equity"),
        ({"position_of_equity": Bound(0.1, 0.1)}, -900, -400, -600, "position_of_equity"),
        ({"gross_of_equity": Bound(0.07, 0.07)}, 900, 0, 700, "gross_of_equity"),
        ({"leverage": Bound(0.07, 0.07)}, 900, 0, 700, "leverage"),
        ({"net_of_equity": Bound(0.07, 0.07)}, -900, 0, -700, "net_of_equity"),
        ({"turnover_a_day_of_equity": Bound(0.03, 0.03)}, 900, 0, 300, "turnover_a_day_of_equity"),
        ({"participation_of_volume": Bound(0.00002, 0.00002)}, 900, 0, 200, "participation_of_volume"),
        ({"sector_of_equity": Bound(0.05, 0.05), "sectors": {"AAA": "x"}}, 900, 0, 500, "sector_of_equity"),
    ],
)
def test_each_limit_cuts_an_order_to_what_it_leaves(limits, asked, held, allowed, limit):
    verdict = judge(order(asked), account(AAA=held), replace(LIMITS, **limits), "active", 0.0)
    assert (verdict.action, verdict.quantity, verdict.limit) == ("shrink", allowed, limit)
    assert verdict.used > verdict.hard


@pytest.mark.parametrize(
    ("changed", "limits", "limit"),
    [
        ({"price": None}, {}, "price_age_seconds"),
        ({"priced_at": -1e9}, {}, "price_age_seconds"),
        ({}, {"restricted": frozenset({"AAA"})}, "restricted"),
        ({}, {"orders_a_second": Bound(0, 0)}, "orders_a_second"),
        ({}, {"open_orders": Bound(0, 0)}, "open_orders"),
    ],
)
def test_what_cannot_be_cut_is_refused_by_name(changed, limits, limit):
    asked = account()
    for name, value in changed.items():
        setattr(asked.symbols["AAA"], name, value)
    verdict = judge(order(10), asked, replace(LIMITS, **limits), "active", 0.0)
    assert (verdict.action, verdict.quantity, verdict.limit) == ("refuse", 0.0, limit)


def test_a_price_far_from_the_last_one_is_refused():
    far = order(10, kind="limit", limit_price=111.0)
    assert judge(far, account(), LIMITS, "active", 0.0).limit == "price_collar_of_price"


def test_losses_stop_what_opens_and_let_through_what_closes():
    lost = account(AAA=500)
    lost.equity = 0.95e6
    assert judge(order(10, "BBB"), lost, LIMITS, "active", 0.0).limit == "daily_loss_of_equity"
    assert judge(order(-500), lost, LIMITS, "active", 0.0).action == "allow"
    fallen = account()
    fallen.equity = fallen.day_start_equity = 0.75e6
    assert judge(order(10), fallen, LIMITS, "active", 0.0).limit == "drawdown_of_peak"


def test_value_at_risk_is_judged_with_the_order_and_unknown_scenarios_are_refused():
    # 101 scenarios from -3 % to 3 %: the loss beyond 99 % of one hundred thousand is 3 % less one step, .0294.
    limits = replace(Limits(), var_99_of_equity=Bound(0.002, 0.0029))
    assert judge(order(1_000), account(), limits, "active", 0.0).limit == "var_99_of_equity"
    assert judge(order(900), account(), limits, "active", 0.0).action == "allow"
    blind = account()
    del blind.scenarios["AAA"]
    assert "no scenarios" in judge(order(10), blind, limits, "active", 0.0).reason


def test_in_halted_only_a_named_person_closes_and_never_beyond_the_position():
    held = account(AAA=500)
    assert judge(order(-500), held, LIMITS, "halted", 0.0).limit == "switch"
    assert judge(order(-500), held, LIMITS, "halted", 0.0, person="A. Reviewer").action == "allow"
    cut = judge(order(-800), held, LIMITS, "halted", 0.0, person="A. Reviewer")
    assert (cut.action, cut.quantity, cut.is_reduce_only) == ("shrink", -500.0, True)
    assert judge(order(10), held, LIMITS, "halted", 0.0, person="A. Reviewer").action == "refuse"


def test_a_person_closes_whatever_else_is_wrong():
    held = account(AAA=500)
    held.place(order(-500, name="stop", kind="stop", stop_price=95.0, is_reduce_only=True), -500, 0.0)
    held.symbols["AAA"].price = None
    limits = replace(LIMITS, orders_a_second=Bound(0, 0), restricted=frozenset({"AAA"}))
    assert judge(order(-500, name="o2"), held, limits, "halted", 0.0, person="A. Reviewer").action == "allow"


def test_reducing_cuts_an_order_that_would_turn_the_position_round():
    held = account(AAA=500)
    cut = judge(order(-800), held, LIMITS, "reducing", 0.0)
    assert (cut.action, cut.quantity, cut.is_reduce_only) == ("shrink", -500.0, True)
    held.place(order(-500, name="first", is_reduce_only=True), -500, 0.0)
    assert judge(order(-10, name="second"), held, LIMITS, "reducing", 0.0).action == "refuse"


def test_legs_of_a_bracket_count_once_and_never_more_than_their_entry():
    held = account()
    entry, target, stop = bracket(order(500), target_price=105.0, stop_price=95.0)
    for leg in (entry, target, stop):
        assert judge(leg, held, LIMITS, "active", 0.0).action == "allow"
        held.place(leg, leg.quantity, 0.0)
    assert len(held.open_orders) == 3
    more = order(-100, name="another", parent_id="o1", is_reduce_only=True)
    assert judge(more, held, LIMITS, "active", 0.0).limit == "parent"


def test_a_replace_is_judged_without_the_order_it_replaces_and_counts_as_another():
    held = account()
    limits = replace(LIMITS, position_of_equity=Bound(0.1, 0.1))
    held.place(order(900), 900, 0.0)
    assert judge(order(1_000, name="o2"), held, limits, "active", 0.0).quantity == 100
    assert judge(order(1_000, name="o2"), held, limits, "active", 0.0, replaces="o1").quantity == 1_000
    few = replace(limits, orders_a_second=Bound(1, 1))
    assert judge(order(1_000, name="o2"), held, few, "active", 0.0, replaces="o1").limit == "orders_a_second"
    assert held.of("AAA").opening_buys == 900


def test_soft_values_warn_and_do_not_refuse():
    verdict = judge(order(1_500), account(), LIMITS, "active", 0.0)
    assert (verdict.action, verdict.warnings) == ("allow", ("order_of_equity",))


def test_declared_limits_refuse_unknown_keys_and_wrong_values():
    assert parse_limits("restricted: [KO]\nlot_shares: 100").restricted == {"KO"}
    with pytest.raises(UnknownNameError, match="gross_of_equity"):
        parse_limits("gross_of_equty: {soft: 1, hard: 2}")
    for text in ("leverage: 2", "leverage: {soft: 3, hard: 2}", "leverage: {hard: -1}", "restricted: [no]", "[1]"):
        with pytest.raises(ConfigError):
            parse_limits(text)


def test_no_limit_is_passed_in_twenty_thousand_random_orders():
    found = fuzz(20_000, seed=63)
    assert found.breaches == []
    assert found.allowed > 2_000
    assert found.shrunk > 500


@pytest.mark.slow
def test_no_limit_is_passed_in_a_million_random_orders():
    found = fuzz(1_000_000, seed=2_012)
    assert found.breaches == []
    assert found.allowed > 100_000


def runaway(tmp_path, parents: int, children: int) -> tuple[int, float, RiskGuard]:
    """Send children without looking at what is filled, as in 2012: how many were sent, and for how many seconds."""
    resume(tmp_path, by="A. Reviewer", reason="test")
    held = account()
    guard = RiskGuard(tmp_path, "paper", held, LIMITS)
    for n in range(parents):
        held.instruct(f"p{n}", 100)
    sent, last = 0, 0.0
    for n in range(children):
        at = n * 45 * 60 / 4e6  # four million within 45 minutes
        child = order(10.0 if n % 2 else -10.0, "AAA", f"c{n}", parent_id=f"p{n % parents}")
        verdict = guard.submit(child, at, strategy="router")
        if verdict.action != "refuse":
            sent, last = sent + 1, at
            held.fill(child.order_id, verdict.quantity)
        elif read_latch(tmp_path).state_of("paper", "router", "AAA") == "halted":
            break
    return sent, last, guard


def test_a_runaway_is_stopped_within_a_second_and_a_thousand_orders(tmp_path):
    sent, seconds, guard = runaway(tmp_path, parents=212, children=20_000)
    assert 0 < sent <= 1_000
    assert seconds <= 1.0
    found = read_latch(tmp_path)
    assert found.state_of("paper", "router", "AAA") == "halted"
    assert found.state_of("paper", "another", "AAA") == "active"
    again = RiskGuard(tmp_path, "paper", guard.account, LIMITS)  # as after a restart
    assert again.submit(order(10, name="later"), 1e6, strategy="router").limit == "switch"
