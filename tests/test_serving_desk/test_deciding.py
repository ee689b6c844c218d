"""The decision engine: hand computed decisions, rules that outrank each other, and votes that are never dropped."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ConfigError, SchemaError
from serving.desk import (
    RULE_NAMES,
    DecisionInputs,
    DeskLimits,
    DeskRules,
    DeskSituation,
    Vote,
    decide,
    inputs_in,
    receipt_of,
    replay_receipt,
)

CLOSE = datetime(2013, 1, 2, 21, tzinfo=UTC)
NOW = DeskSituation("paper", "AAA", CLOSE, CLOSE, 0.0, 0.0, 50.0, 100_000.0, 0.2, 0.25)
RULES, LIMITS = DeskRules(), DeskLimits()
WEIGHTS = {"strategy:up": 0.6, "strategy:down": 0.3}


def vote(name: str, target: float | None, **values: object) -> Vote:
    kind = "advice" if name.startswith("advice") else "strategy"
    given = Vote(name, kind, target, 0.6, CLOSE + timedelta(days=1), "1", "x")
    return replace(given, **values)


VOTES = (vote("strategy:up", 0.10), vote("strategy:down", -0.05), vote("advice:moderate", 0.0))


def overruled(decision: object) -> dict[str, str]:
    return {each.vote.source: each.overruled_by for each in decision.votes}


def test_weights_times_targets_in_whole_shares():
    found = decide(VOTES, NOW, RULES, LIMITS, WEIGHTS)
    assert found.wanted == pytest.approx(0.6 * 0.10 - 0.3 * 0.05)  # 4.5 % of 100,000 at 50 is 90 shares
    assert (found.action, found.quantity, found.decided_by) == ("buy", 90.0, "votes")
    assert (found.order.kind, found.order.decided_at, found.order.order_id) == ("market", CLOSE, found.decision_id)
    assert overruled(found)["strategy:down"] == "votes of strategy:up"
    assert overruled(found)["strategy:up"] == ""


def test_a_vote_that_expired_is_cash_and_is_not_shared_among_the_others():
    old = (replace(VOTES[0], expires_at=CLOSE), VOTES[1])
    found = decide(old, NOW, RULES, LIMITS, WEIGHTS)
    assert found.wanted == pytest.approx(-0.015)
    assert overruled(found)["strategy:up"] == "its expiry"


def test_a_source_without_evidence_counts_nothing_and_is_kept():
    found = decide((vote("advice:moderate", 0.2),), NOW, RULES, LIMITS, WEIGHTS)
    assert (found.action, found.wanted) == ("hold", 0.0)
    assert overruled(found)["advice:moderate"] == "the sum of the votes"


@pytest.mark.parametrize(
    ("change", "rules", "quantity", "decided_by"),
    [
        ({"switch": "halted", "switch_reason": "x"}, RULES, 0.0, "rule:halted"),
        ({"stale_sessions": 1}, RULES, 0.0, "rule:stale_data"),
        ({"held": 200.0, "average_cost": 60.0}, RULES, -200.0, "rule:stop"),  # 16.7 % lost, 15 % is the stop
        ({"held": -200.0, "average_cost": 40.0}, RULES, 200.0, "rule:stop"),  # of a short: 25 % lost
        ({}, DeskRules(restricted=("AAA",)), 0.0, "rule:restricted"),
        ({"held": 200.0, "average_cost": 50.0}, DeskRules(restricted=("AAA",)), -110.0, "votes"),  # a sale passes
        ({"switch": "reducing"}, RULES, 0.0, "rule:reducing"),
        ({"held": -40.0, "average_cost": 50.0, "switch": "reducing"}, RULES, 40.0, "rule:reducing"),  # and no further
        ({"earnings_in_sessions": -1, "has_earnings_calendar": True}, RULES, 0.0, "rule:earnings_blackout"),
        ({"earnings_in_sessions": 2, "has_earnings_calendar": True}, RULES, 90.0, "votes"),
        ({"gross_wanted": 2.0}, RULES, 45.0, "limit:largest_gross"),
        ({"held": 91.0, "average_cost": 50.0}, RULES, 0.0, "limit:least_trade"),
    ],
)
def test_rules_and_limits_have_their_way_by_name(change, rules, quantity, decided_by):
    found = decide(VOTES, replace(NOW, **change), rules, LIMITS, WEIGHTS)
    assert (found.quantity, found.decided_by) == (quantity, decided_by)


def test_of_two_rules_the_higher_one_has_its_way_and_the_other_is_kept_as_overruled():
    now = replace(NOW, held=200.0, average_cost=60.0, switch="halted", switch_reason="quotes are wrong")
    found = decide(VOTES, now, RULES, LIMITS, WEIGHTS)
    assert (found.quantity, found.reason) == (0.0, "Trading is halted: quotes are wrong")
    assert overruled(found)["rule:stop"] == "rule:halted"
    assert overruled(found)["strategy:down"] == "rule:halted" or overruled(found)["strategy:down"]


def test_a_position_is_bounded_and_a_position_to_be_closed_is_closed_however_small():
    large = decide((vote("strategy:up", 0.9),), NOW, RULES, LIMITS, {"strategy:up": 1.0})
    assert (large.target, large.quantity, large.decided_by) == (0.2, 400.0, "limit:largest_position")
    tiny = replace(NOW, held=1.0, average_cost=50.0)
    assert decide((vote("strategy:up", 0.0),), tiny, RULES, LIMITS, {"strategy:up": 1.0}).quantity == -1.0


def test_bars_without_an_open_are_traded_at_the_close():
    assert decide(VOTES, replace(NOW, has_open=False), RULES, LIMITS, WEIGHTS).order.kind == "on_close"


@pytest.mark.parametrize(
    ("votes", "now", "weights", "words"),
    [
        ((VOTES[0], VOTES[0]), NOW, WEIGHTS, "votes twice"),
        (VOTES, NOW, {"strategy:up": -0.1}, "0 or more"),
        (VOTES, replace(NOW, price=0.0), WEIGHTS, "has the price 0.0"),
    ],
)
def test_what_cannot_be_decided_is_refused(votes, now, weights, words):
    with pytest.raises(ConfigError, match=words):
        decide(votes, now, RULES, LIMITS, weights)


@st.composite
def inputs(draw: st.DrawFn) -> DecisionInputs:
    targets = draw(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
    weights = {f"strategy:s{n}": draw(st.floats(0, 0.5)) for n in range(len(targets))}
    lives = st.sampled_from([timedelta(days=-1), timedelta(days=1)])
    votes = tuple(
        vote(name, target, expires_at=CLOSE + draw(lives)) for name, target in zip(weights, targets, strict=True)
    )
    held = float(draw(st.integers(-500, 500)))
    now = replace(
        NOW,
        held=held,
        average_cost=draw(st.floats(20, 90)) if held else 0.0,
        price=draw(st.floats(5, 500)),
        gross_wanted=draw(st.floats(0, 3)),
        stale_sessions=draw(st.sampled_from([0, 0, 0, 2])),
        switch=draw(st.sampled_from(["active", "active", "reducing", "halted"])),
    )
    rules = DeskRules(restricted=draw(st.sampled_from([(), ("AAA",)])))
    return DecisionInputs(votes, now, rules, LIMITS, weights, {"forecasts": 3})


@settings(max_examples=200, deadline=None)
@given(inputs())
def test_no_vote_is_dropped_and_rules_and_limits_hold_whatever_is_voted(given_inputs):
    found = given_inputs.decide()
    own, now = given_inputs.votes, given_inputs.book
    assert [each.vote for each in found.votes[: len(own)]] == list(own)
    assert [each.vote.source for each in found.votes[len(own) :]] == [f"rule:{name}" for name in RULE_NAMES]
    done = (found.quantity > 0) - (found.quantity < 0)
    after = now.held + found.quantity
    if now.switch == "halted" or now.stale_sessions:
        assert found.quantity == 0
    elif now.switch == "reducing" or given_inputs.rules.restricted:
        assert after * now.held >= 0
        assert abs(after) <= abs(now.held)
    if found.decided_by == "votes" and found.order is not None and not found.order.is_reduce_only:
        assert abs(after) * now.price <= LIMITS.largest_position * now.equity * (1 + 1e-9)
    for each in found.votes[: len(own)]:
        moved = (each.vote.target or 0.0) - now.held_share
        if done and each.overruled_by == "":
            assert moved * done > 0 or each.vote.target == 0


@settings(max_examples=200, deadline=None)
@given(inputs())
def test_a_decision_is_made_again_from_its_receipt_bit_by_bit(given_inputs):
    decision = given_inputs.decide()
    content, seal = receipt_of(given_inputs, decision)
    assert inputs_in(content) == given_inputs
    assert replay_receipt(decision.decision_id, content, seal).verdict == "equal"


def test_a_receipt_that_was_edited_is_altered_and_one_of_another_result_differs():
    made = DecisionInputs(VOTES, NOW, RULES, LIMITS, WEIGHTS, {})
    decision = made.decide()
    content, seal = receipt_of(made, decision)
    edited = content.replace('"target":0.1', '"target":0.2')
    assert edited != content
    assert replay_receipt(decision.decision_id, edited, seal).verdict == "altered"
    other, other_seal = receipt_of(made, replace(decision, quantity=1.0))
    assert replay_receipt(decision.decision_id, other, other_seal).verdict == "different"
    with pytest.raises(SchemaError, match="cannot be read"):
        inputs_in("{}")


@pytest.mark.slow
def test_ten_thousand_decisions_are_made_again_bit_by_bit():
    import numpy as np

    rng = np.random.default_rng(65)
    for n in range(10_000):
        targets, weights = rng.uniform(-1, 1, 6), rng.dirichlet(np.ones(6))
        votes = tuple(vote(f"strategy:s{k}", float(target)) for k, target in enumerate(targets))
        held = float(rng.integers(-500, 500))
        now = replace(NOW, symbol=f"S{n}", held=held, average_cost=45.0, price=float(rng.uniform(5, 500)))
        shares = {f"strategy:s{k}": float(weight) for k, weight in enumerate(weights)}
        made = DecisionInputs(votes, now, RULES, LIMITS, shares, {})
        decision = made.decide()
        content, seal = receipt_of(made, decision)
        assert replay_receipt(decision.decision_id, content, seal).verdict == "equal"
