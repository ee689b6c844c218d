"""The bet on gains against what a fair bet must be, and in worlds in which there is nothing to prove."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gains import (
    OLD_BOUND,
    SESSIONS,
    WITHOUT_GAIN,
    capital_of_clipped,
    false_proofs,
    normal,
    sessions_until_proof,
)
from benchmarks.gains import capital as capital_of
from lake.errors import ConfigError
from serving.evidence import Evidence, GainEvidence
from serving.evidence.gains import STAKE
from serving.strategies import SelectionRule

RULE = SelectionRule()


def settled(gains: list[float], block: int = 1, exposure: float = 1.0) -> float:
    evidence = GainEvidence(0.4, block)
    for gain in gains:
        evidence.settle(gain, exposure)
    return float(evidence.e_value.item())


def test_the_bet_is_settled_as_worked_by_hand() -> None:
    assert settled([0.02, -0.1, 0.004]) == pytest.approx((1 + 0.9 * 0.05) * (1 - 0.9 * 0.25) * (1 + 0.9 * 0.01))


def test_a_block_is_one_bet_on_its_sum_and_is_settled_when_it_is_whole() -> None:
    assert settled([0.02, -0.01], block=3) == 1.0
    assert settled([0.02, -0.01, 0.004, 0.1], block=3) == pytest.approx(1 + 0.9 * (0.05 - 0.025 + 0.01))


def test_no_more_is_staked_than_is_left_of_a_block() -> None:
    assert settled([-0.3, -0.3], block=2) == pytest.approx((1 - 0.9 * 0.75) * 0.25)
    assert settled([-0.4, -0.4, 0.4], block=3) == 0.0, "all that was left, and it is lost"


def test_gains_are_measured_by_the_exposure_that_earned_them_but_not_by_less_than_a_tenth() -> None:
    assert settled([0.01], exposure=0.25) == pytest.approx(1 + 0.9 * 0.1)
    assert settled([0.01], exposure=0.001) == settled([0.01], exposure=0.1) == pytest.approx(1 + 0.9 * 0.25)


def test_a_gain_counts_at_most_once_its_stake_and_a_loss_in_full() -> None:
    assert settled([4.0]) == pytest.approx(1 + STAKE)
    assert settled([-0.4]) == pytest.approx(1 - STAKE)
    assert settled([-0.5, 0.4, 0.4], block=1) == 0.0, "ruin is for good"


@given(st.lists(st.lists(st.floats(-0.5, 0.5), min_size=7, max_size=7), min_size=1, max_size=4), st.integers(1, 4))
def test_worlds_side_by_side_are_each_world_alone(worlds: list[list[float]], block: int) -> None:
    together = GainEvidence(0.4, block, worlds=len(worlds))
    for gains in np.array(worlds).T:
        together.settle(gains)
    np.testing.assert_allclose(together.e_value, [settled(gains, block) for gains in worlds], rtol=1e-12)


@pytest.mark.parametrize("block", [1, 4, 8])
@pytest.mark.parametrize(("down", "up"), [(-0.013, 0.013), (-0.4, 0.05), (-0.05, 0.4)])
def test_the_expected_capital_of_a_fair_bet_is_one(down: float, up: float, block: int) -> None:
    """Over all paths of a fair coin with unequal sides, weighted by their probability: a martingale by definition."""
    chance = -down / (up - down)  # of up, so that the mean is zero
    total = 0.0
    for path in product((down, up), repeat=8):
        ups = path.count(up)
        total += chance**ups * (1 - chance) ** (8 - ups) * settled(list(path), block)
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("loss", "block"), [(0.0, 5), (-0.1, 5), (float("inf"), 5), (0.4, 0)])
def test_a_bet_that_proves_nothing_is_refused(loss: float, block: int) -> None:
    with pytest.raises(ConfigError, match=rf"largest_loss {loss} and block_sessions {block}.*a fraction above 0"):
        GainEvidence(loss, block)


@pytest.mark.parametrize("name", WITHOUT_GAIN)
def test_what_is_not_there_is_proven_in_at_most_one_world_of_twenty(name: str) -> None:
    """The part of `python -m benchmarks selection` that is quick enough: all 500 worlds of each kind."""
    assert false_proofs(WITHOUT_GAIN[name], RULE) <= RULE.alpha


def test_clipped_losses_would_prove_what_is_not_there() -> None:
    """The worlds can tell: the earlier rule fails in them."""
    gains = WITHOUT_GAIN["insurance seller, 10% once in 250"](np.random.default_rng(1), (50, SESSIONS))
    assert np.isfinite(sessions_until_proof(capital_of_clipped(gains, OLD_BOUND), RULE.alpha)).mean() > 0.5


def test_the_earlier_rule_of_the_benchmark_is_the_bet_on_clipped_gains() -> None:
    gains = normal(np.random.default_rng(3), (2, 40))
    for row, values in zip(gains, np.array(list(capital_of_clipped(gains, OLD_BOUND))).T, strict=True):
        evidence = Evidence(OLD_BOUND)
        for gain in row:
            evidence.settle(float(gain))
        assert values[-1] == pytest.approx(evidence.e_value)


def test_a_gain_that_is_there_is_proven_soon_after_the_earliest_possible_session() -> None:
    gains = 0.002 + normal(np.random.default_rng(1), (100, 1200))
    earliest = np.log(1 / RULE.alpha) * RULE.largest_loss / 0.002
    median = np.median(sessions_until_proof(capital_of(gains, RULE), RULE.alpha))
    assert earliest <= median <= 1.3 * earliest


@pytest.mark.parametrize("name", ["independent, normal", "GARCH", "AR(1) 0.5", "left skew"])
def test_the_worlds_have_no_gain_and_the_volatility_that_is_said(name: str) -> None:
    gains = WITHOUT_GAIN[name](np.random.default_rng(5), (400, SESSIONS))
    assert abs(gains.mean()) < 1e-4
    assert gains.std() == pytest.approx(0.01, rel=0.05)
