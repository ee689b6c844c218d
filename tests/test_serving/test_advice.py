"""Advice: sizes against closed forms and simulated paths, nothing from noise, and the rule that decides is told."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ConfigError, UnknownNameError
from lake.market import DEMO
from lake.tables import RECOMMENDATIONS
from lake.tables.advice import ACTIONS, GATE_STATES, RISK_TOLERANCES
from serving import api
from serving.advice import (
    TOLERANCES,
    AdviceCosts,
    AdviceLimits,
    AdviceReasons,
    CallBucket,
    CallRecord,
    GateReading,
    Occasion,
    SwitchGate,
    advise,
    answer_in,
    answer_of,
    buckets_of,
    calibration_error,
    limits_of,
    row_of,
    size_steps,
    smallest_flip,
    why_recommended,
)
from serving.advice.advising import Action, Reason
from serving.advice.gate import GateState
from serving.advice.sizing import calibrated_median, deviation_of, stop_distance, whole_kelly
from serving.advice.wording import SENTENCES, reasoning_of
from serving.api.explanations import FeatureSweep, SweepPoint
from serving.forecasts import sign_probability
from serving.risk import Scope, restrict, resume
from support.advice import AS_OF, FORECAST, PROVEN, question, world

FEW = settings(max_examples=60, deadline=None, derandomize=True)
UNPROVEN = PROVEN._replace(interval=(0.47, 0.55))


def test_whole_kelly_maximises_the_growth_of_a_bet_that_wins_or_loses_its_deviation():
    """Of a bet of mean mu and outcomes mu +- s, growth is largest at f = mu / (s^2 - mu^2); found here on a grid."""
    mean, deviation = 0.0004, 0.02
    stakes = np.linspace(0, 3, 30_001)
    growth = 0.5 * np.log1p(stakes * (mean + deviation)) + 0.5 * np.log1p(stakes * (mean - deviation))
    best = stakes[growth.argmax()]
    assert best == pytest.approx(mean / (deviation**2 - mean**2), abs=2e-4)
    assert whole_kelly(mean, deviation) == pytest.approx(best, rel=2e-3)
    assert whole_kelly(mean, 0.0) == 0.0


def test_half_of_kelly_binds_where_the_other_limits_are_wide():
    wide = AdviceLimits(annual_volatility_target=50, stop_loss_budget=50, largest_position=50)
    asked = question(limits=wide, p10=-0.20, p50=0.01, p90=0.22, confidence=sign_probability(-0.20, 0.01, 0.22))
    advice = advise(asked)
    deviation = 0.42 / (2 * 1.2815515655446004)
    shares = 0.01 / (2 * deviation**2) * 100_000 / FORECAST.reference_price
    assert (advice.bound_by, advice.target_position) == ("half_kelly", math.floor(shares))
    assert advice.whole_kelly == pytest.approx(0.01 / deviation**2)


def test_each_bound_is_the_least_where_its_limit_is_the_narrowest():
    wide = AdviceLimits(annual_volatility_target=9, stop_loss_budget=9, largest_position=9, kelly_fraction=1)
    for bound in ("annual_volatility_target", "stop_loss_budget", "largest_position"):
        advice = advise(question(limits=replace(wide, **{bound: 0.01})))
        assert advice.bound_by == bound.removeprefix("annual_")
        assert advice.bounds[[each.name for each in advice.bounds].index(advice.bound_by)].shares >= (
            advice.target_position or 0
        )


def test_the_calibrated_median_is_the_median_where_it_is_trusted_and_none_where_it_is_not():
    sure = sign_probability(-0.03, 0.01, 0.06)
    assert calibrated_median(-0.03, 0.01, 0.06, sure) == pytest.approx(0.01, rel=1e-9)
    assert calibrated_median(-0.06, -0.01, 0.03, sure) == pytest.approx(-0.01, rel=1e-9)
    assert calibrated_median(-0.03, 0.01, 0.06, 0.5) == 0.0
    assert calibrated_median(-0.03, 0.01, 0.06, 0.99) == 0.01, "never beyond the median"
    between = calibrated_median(-0.03, 0.01, 0.06, 0.5 + 0.5 * (sure - 0.5))
    assert 0.0 < between < 0.01


bands = st.tuples(
    st.floats(-0.05, 0.05), st.floats(0.001, 0.2), st.floats(0.001, 0.2), st.floats(0.5, 1.0), st.floats(-500, 500)
)


@FEW
@given(bands, st.sampled_from(sorted(TOLERANCES)), st.floats(1_000, 1e7), st.one_of(st.none(), st.floats(0.001, 0.1)))
def test_no_size_passes_a_bound_and_no_trade_is_said_that_costs_eat(band, tolerance, equity, atr):
    median, below, above, sure, position = band
    position = float(round(position))
    asked = question(
        p10=median - below, p50=median, p90=median + above, confidence=sure, atr=atr, equity=equity, position=position,
        risk_tolerance=tolerance,
    )  # fmt: skip
    advice = advise(asked)
    assert advice.target_position is not None
    assert advice.quantity == abs(advice.target_position - position)
    assert (advice.quantity == 0) == (advice.action == "hold")
    if advice.action == "hold":
        return
    assert abs(advice.expected_return) > advice.round_trip_cost
    assert (advice.target_position > position) == (advice.action == "buy")
    assert abs(advice.target_position) <= max((each.shares for each in advice.bounds), default=0.0)
    if advice.bounds:
        within = [each for each in advice.bounds if each.name != "half_kelly" or advice.reason != "above_limit"]
        assert advice.target_position <= min(each.shares for each in within)
        assert (advice.loss_at_stop or 0.0) <= (advice.loss_budget or 0.0) + 1e-9
    else:
        assert (advice.reason, advice.target_position) == ("expected_fall", 0.0)


@FEW
@given(bands, st.floats(0.0, 40.0), st.floats(0.0, 40.0))
def test_higher_costs_never_make_a_trade(band, low_bps, more_bps):
    median, below, above, sure, position = band
    held = float(round(position))
    asked = question(p10=median - below, p50=median, p90=median + above, confidence=sure, position=held)
    cheap = advise(replace(asked, costs=AdviceCosts(low_bps)))
    dear = advise(replace(asked, costs=AdviceCosts(low_bps + more_bps)))
    assert dear.action in {cheap.action, "hold", "sell"}
    assert dear.action != "buy" or (dear.target_position or 0.0) <= (cheap.target_position or 0.0)


def test_the_loss_at_the_stop_stays_within_the_budget_on_paths_without_gaps():
    """Paths of 5 sessions in minutes; the stop fills at the first price at or below it, and both trades pay costs."""
    asked = question(equity=5_000_000.0, atr=0.02)
    advice = advise(asked)
    assert advice.bound_by == "stop_loss_budget"
    drawn, paths, steps = np.random.default_rng(7), 3_000, 5 * 390
    deviation = deviation_of(FORECAST.p10, FORECAST.p90)
    lost, stopped = np.zeros(paths), 0
    price, cost = FORECAST.reference_price, asked.costs.one_way_bps / 1e4
    for path in range(paths):
        prices = price * np.exp(np.cumsum(drawn.normal(0, deviation / math.sqrt(steps), steps)))
        below = np.flatnonzero(prices <= advice.stop_loss)
        if len(below):
            fill = prices[below[0]]
            lost[path] = advice.target_position * (price - fill + cost * (price + fill))
            stopped += 1
    assert stopped > 100, "the stop is reached on some paths"
    assert (lost <= advice.loss_budget).mean() >= 0.99
    assert lost.max() > 0.9 * advice.loss_budget, "the budget is used"


def test_the_stop_is_beyond_the_band_and_beyond_the_usual_range():
    limits = limits_of("moderate")
    assert stop_distance(-0.03, 0.05, 0.01, limits) == 0.03
    assert stop_distance(-0.03, 0.05, 0.025, limits) == 0.05
    assert stop_distance(-0.03, 0.05, None, limits, is_long=False) == 0.05
    assert stop_distance(0.01, 0.05, None, limits) == 0.001
    assert stop_distance(-3.0, 0.05, None, limits) == 0.95


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        ({}, "buy", "expected_rise"),
        ({"gate": GateReading("halted", "the switch (account:*: drill)")}, "hold", "halted"),
        ({"age_bars": 1}, "hold", "stale"),
        ({"is_calibrated": False}, "hold", "uncalibrated"),
        ({"p50": 0.0, "confidence": 0.5}, "hold", "flat"),
        ({"confidence": 0.505}, "hold", "below_cost"),
        ({"record": PROVEN._replace(interval=None)}, "hold", "not_enough_outcomes"),
        ({"record": UNPROVEN}, "hold", "unproven"),
        ({"gate": GateReading("reducing")}, "hold", "reducing"),
        ({"reference_price": None}, "hold", "no_price"),
        ({"equity": None}, "buy", "no_equity"),
        ({"equity": 2_000.0}, "hold", "below_lot"),
        ({"position": 14.0}, "hold", "held_already"),
        ({"position": 100.0}, "sell", "above_limit"),
        ({"p10": -0.1, "p50": -0.021, "p90": 0.058}, "hold", "nothing_held"),
        ({"p10": -0.1, "p50": -0.021, "p90": 0.058, "position": 9.0}, "sell", "expected_fall"),
        ({"p10": -0.1, "p50": -0.021, "p90": 0.058, "position": 9.0, "reference_price": None}, "sell", "expected_fall"),
    ],
)
def test_the_rule_that_decides_is_told_in_a_sentence(changes, action, reason):
    asked = question(**changes)
    advice = advise(asked)
    assert (advice.action, advice.reason) == (action, reason)
    sentence = reasoning_of(asked, advice)
    assert sentence.startswith(action.capitalize())
    assert "{" not in sentence
    if reason == "halted":
        assert "the switch (account:*: drill)" in sentence


def test_every_reason_has_a_sentence_and_tables_and_types_name_the_same():
    assert set(SENTENCES) == set(get_args(Reason))
    assert get_args(Action) == ACTIONS == get_args(api.Recommendation.model_fields["action"].annotation)
    assert set(get_args(GateState)) == set(GATE_STATES)
    assert set(get_args(api.RiskTolerance)) == set(RISK_TOLERANCES) == set(TOLERANCES)


def test_when_only_lower_exposure_passes_a_sale_and_the_return_of_sold_shares_do():
    reducing = GateReading("reducing")
    fall = {"p10": -0.1, "p50": -0.021, "p90": 0.058}
    assert advise(question(gate=reducing, position=9.0, **fall)).action == "sell"
    assert advise(question(gate=reducing, position=100.0)).reason == "reducing"
    covered = advise(question(gate=reducing, position=-30.0))
    assert (covered.action, covered.quantity, covered.target_position) == ("buy", 30.0, 0.0)


def test_what_is_held_beyond_kelly_alone_is_kept_and_beyond_the_limits_is_sold_down_to_them():
    tight = replace(limits_of("moderate"), kelly_fraction=0.001)
    kept = advise(question(limits=tight, position=12.0))
    assert (kept.action, kept.reason, kept.bound_by) == ("hold", "held_already", "half_kelly")
    sold = advise(question(limits=tight, position=40.0))
    assert (sold.action, sold.reason, sold.bound_by) == ("sell", "above_limit", "stop_loss_budget")
    assert sold.loss_at_stop <= sold.loss_budget


def test_outcomes_that_have_nothing_to_do_with_the_forecasts_are_held():
    advised = [advise(asked) for seed in range(12) for asked in world(seed, skill=0.0).last]
    assert sum(each.action == "hold" for each in advised) >= 0.95 * len(advised)
    skilled = [advise(asked) for seed in range(3) for asked in world(seed, skill=1.0).last]
    assert sum(each.action == "hold" for each in skilled) < 0.5 * len(skilled), "a skilled model is not held always"


@pytest.mark.parametrize(("overstated", "points"), [(1.0, 0.03), (2.0, 0.04)])
def test_calibrated_probabilities_come_true_within_a_few_points(overstated, points):
    """Planted outcomes after the calibration of the platform, with honest medians and with twice overstated ones.

    Trust shrinks every probability by one share, so of medians that are twice too large it leaves up to 3.3 points.
    """
    lived = [world(seed, skill=1.0, overstated=overstated, sessions=400) for seed in range(3)]
    stated, hits = (np.concatenate([getattr(each, name) for each in lived]) for name in ("stated", "hits"))
    assert len(stated) >= 5_000
    buckets = buckets_of(stated, hits, np.arange(len(stated)))
    assert calibration_error(buckets) <= 0.03
    large = [each for each in buckets if each.outcomes >= 1_500]
    assert len(large) >= 4
    assert all(abs(each.said - each.came_true) <= points for each in large)


def test_overstated_probabilities_are_found_out():
    drawn = np.random.default_rng(3)
    true = drawn.uniform(0.5, 0.7, 8_000)
    hits = drawn.uniform(size=8_000) < true
    assert calibration_error(buckets_of(true, hits, np.arange(8_000))) <= 0.03
    assert calibration_error(buckets_of(np.minimum(true + 0.1, 1.0), hits, np.arange(8_000))) > 0.05
    assert calibration_error(buckets_of(true[:20], hits[:20], np.arange(20))) is None, "20 outcomes are not enough"


def sweep(feature, value, points):
    told = [
        SweepPoint(to=to, p10=p50 - 0.079, p50=p50, p90=p50 + 0.079, target_price=None, direction="up", confidence=sure)
        for to, p50, sure in points
    ]
    return FeatureSweep(feature=feature, value=value, percentile=50.0, low=0.0, high=1.0, points=told)


def test_the_smallest_change_that_changes_the_action_is_found_among_all_features():
    asked = question()
    near = sweep("near", 0.5, [(0.5, 0.021, 0.63), (0.6, 0.001, 0.51), (0.9, -0.02, 0.6)])
    far = sweep("far", 0.1, [(0.1, 0.021, 0.63), (0.5, -0.02, 0.63)])
    never = sweep("never", 0.5, [(0.4, 0.021, 0.63), (0.6, 0.022, 0.63)])
    unknown = sweep("unknown", None, [(0.5, -0.02, 0.63)])
    found = smallest_flip(asked, [far, unknown, near, never], [PROVEN] * 7)
    assert (found.feature, found.before, found.after, found.action) == ("near", 0.5, 0.6, "hold")
    assert smallest_flip(asked, [never, unknown], [PROVEN] * 7) is None


def test_a_changed_forecast_is_judged_by_the_record_of_its_own_confidence():
    asked, bad = question(record=UNPROVEN), [UNPROVEN] * 7
    surer = sweep("surer", 0.5, [(0.5, 0.021, 0.63), (0.7, 0.03, 0.68)])
    assert advise(asked).reason == "unproven"
    assert smallest_flip(asked, [surer], bad) is None
    found = smallest_flip(asked, [surer], [*bad[:5], PROVEN, *bad[6:]])
    assert (found.after, found.action) == (0.7, "buy")


def test_the_switch_of_the_home_is_what_advice_looks_at(tmp_path):
    gate = SwitchGate(tmp_path)
    assert gate.read("AAPL").state == "unknown", "trading was never released here"
    resume(tmp_path, by="A. Reviewer", reason="begin")
    assert gate.read("AAPL") == GateReading("active")
    restrict(tmp_path, "halted", by="A. Reviewer", reason="drill", scope=Scope("symbol", "KO"))
    assert gate.read("AAPL").state == "active"
    assert gate.read("KO") == GateReading("halted", "the switch (symbol:KO: drill)")
    restrict(tmp_path, "reducing", by="A. Reviewer", reason="storm")
    assert gate.read("AAPL") == GateReading("reducing", "the switch (account:*: storm)")
    assert advise(question(gate=gate.read("KO"))).reason == "halted"


def test_a_row_holds_the_answer_and_fits_its_table():
    asked = question(position=-5.0)
    context = api.PortfolioContext(current_position=-5.0, equity=100_000, risk_tolerance="moderate")
    occasion = Occasion(DEMO, AS_OF, context)
    answer = answer_of(asked, advise(asked), AdviceReasons((("return_5d", 0.01),)), occasion)
    row = row_of(asked, answer, AS_OF)
    assert set(row) == set(RECOMMENDATIONS.names)
    assert answer_in(row) == answer
    assert answer.recommendation.expires_at == AS_OF + timedelta(days=2)
    binding = [each.name for each in answer.recommendation.sizes if each.is_binding]
    assert binding == [answer.recommendation.bound_by]
    shares = [each.shares for each in answer.recommendation.sizes]
    assert shares == sorted(shares)


def told(**changes):
    """The answer about a question that `question` makes."""
    asked = question(**changes)
    context = api.PortfolioContext(
        current_position=asked.book.position, equity=asked.book.equity, risk_tolerance="moderate"
    )
    return answer_of(asked, advise(asked), AdviceReasons((("return_5d", 0.01),)), Occasion(DEMO, AS_OF, context))


def test_the_steps_of_a_size_lead_from_the_whole_kelly_size_to_what_bound_it():
    """By hand: mean 0.01 and deviation 0.05 by the band give Kelly 4, so 4,000 shares at 100 with 100,000."""
    half_band = 0.05 * 1.2815515655446004
    answer = told(p10=0.01 - half_band, p50=0.01, p90=0.01 + half_band, confidence=0.99, reference_price=100.0)
    steps = size_steps(answer)
    assert [each.name for each in steps] == [
        "whole_kelly", "half_kelly", "volatility_target", "stop_loss_budget", "largest_position",
    ]  # fmt: skip
    assert [each.shares for each in steps[:2]] == pytest.approx([4_000, 2_000])
    assert steps[-1].shares == pytest.approx(200)
    assert [each.least_so_far for each in steps] == [
        min(each.shares for each in steps[: place + 1]) for place in range(5)
    ]
    (binding,) = [each for each in steps if each.is_binding]
    assert binding.name == answer.recommendation.bound_by
    assert binding.shares == steps[-1].least_so_far
    assert answer.recommendation.target_position == float(int(binding.shares))
    why = why_recommended(answer, [], "nothing was decided")
    assert (why.sizes, why.no_sizes_because, why.no_decisions_because) == (steps, None, "nothing was decided")


def test_an_answer_without_a_size_says_which_rule_decided_without_one():
    for changes, reason in (({"p50": 0.0001}, "below_cost"), ({"equity": None}, "no_equity")):
        why = why_recommended(told(**changes), [], "none")
        assert (why.sizes, why.no_sizes_because) == ([], f"The rule `{reason}` decided without a size.")


def test_shares_beyond_the_limits_are_sold_down_to_the_bound_that_is_told():
    answer = told(position=5_000.0)
    assert answer.recommendation.reason == "above_limit"
    (binding,) = [each for each in size_steps(answer) if each.is_binding]
    assert binding.name == answer.recommendation.bound_by
    assert answer.recommendation.target_position == float(int(binding.shares))


def test_limits_that_no_size_keeps_and_unknown_tolerances_are_refused():
    with pytest.raises(ConfigError, match="kelly_fraction at most 1"):
        replace(limits_of("low"), kelly_fraction=1.5)
    with pytest.raises(ConfigError, match="at least 0"):
        AdviceCosts(-1.0)
    with pytest.raises(UnknownNameError, match="Known: high, low, moderate"):
        limits_of("reckless")


def test_a_record_is_proven_only_where_its_interval_leaves_out_a_coin():
    bucket = CallBucket(0.5, 0.52, 100, 100, 0.51, 0.55)
    assert not CallRecord("none", bucket, None).is_enough
    assert not CallRecord("in_replay", bucket, (0.5, 0.6)).is_proven
    assert CallRecord("in_replay", bucket, (0.501, 0.6)).is_proven
