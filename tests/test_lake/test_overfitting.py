"""The probability of back-test overfitting on noise, with a true strategy, and beside its null band."""

from itertools import combinations

import numpy as np
import pytest

from lake.ledger import overfitting


def noise(seed: int, sessions: int = 500, strategies: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.01 * (rng.normal(size=(sessions, strategies)) + rng.normal(size=(sessions, 1)))


def estimate(gains: np.ndarray, twins: int = 20) -> float:
    found = overfitting(gains, twins=twins)
    assert found is not None
    return found.probability


def test_it_is_what_a_loop_over_all_halves_counts() -> None:
    gains = noise(1, sessions=103, strategies=5)
    blocks = np.split(gains[3:], 10)  # the oldest sessions beyond a multiple of ten are left out
    below = []
    for chosen in combinations(range(10), 5):
        inside = np.concatenate([blocks[number] for number in chosen])
        outside = np.concatenate([blocks[number] for number in range(10) if number not in chosen])
        best = (inside.mean(axis=0) / inside.std(axis=0)).argmax()
        ratios = outside.mean(axis=0) / outside.std(axis=0)
        rank = (ratios < ratios[best]).sum()
        below.append(1.0 if rank < 2 else 0.5 if rank == 2 else 0.0)
    assert len(below) == 252
    assert estimate(gains) == pytest.approx(np.mean(below), abs=1e-12)


def test_on_noise_its_mean_is_a_half_for_even_and_odd_numbers_of_strategies() -> None:
    for strategies in (7, 12):
        found = [estimate(noise(seed, strategies=strategies), twins=1) for seed in range(400)]
        assert np.mean(found) == pytest.approx(0.5, abs=0.05)
        assert 0.1 < np.std(found) < 0.3, "a single figure on noise is anything: hence the band"


def test_a_true_strategy_among_noise_lowers_it() -> None:
    skill = np.zeros(12)
    skill[4] = 0.01 * 2 / np.sqrt(252)  # an annual Sharpe ratio of 2 or, with the common part, 1.4
    without, skilled = (
        np.mean([estimate(noise(seed) + extra, twins=1) for seed in range(200)]) for extra in (0.0, 3 * skill)
    )
    assert skilled < without - 0.2


def test_the_null_band_holds_what_noise_gives_in_nine_of_ten_cases() -> None:
    inside = 0
    for seed in range(100):
        found = overfitting(noise(seed, strategies=8), twins=60)
        assert found is not None
        inside += found.low <= found.probability <= found.high
    assert 80 <= inside <= 99


def test_the_same_gains_give_the_same_band() -> None:
    gains = noise(5)
    assert overfitting(gains) == overfitting(gains.copy())
    assert overfitting(gains, seed=1) != overfitting(gains)


def test_cash_is_ranked_by_a_ratio_of_zero() -> None:
    gains = np.column_stack([np.zeros(200), noise(3, sessions=200, strategies=1) - 0.05])
    assert estimate(gains) == 0, "cash is best in each half and in its complement"


@pytest.mark.parametrize("shape", [(500, 1), (19, 4), (0, 0)])
def test_what_cannot_be_cut_or_compared_has_no_estimate(shape: tuple[int, int]) -> None:
    assert overfitting(np.zeros(shape)) is None
