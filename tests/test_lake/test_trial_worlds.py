"""In worlds without skill the best of many tuned trials passes for more than luck in at most one world of twenty."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.ledger import ScoredTrial, TrialLedger, families_of
from lake.store import Lake
from lake.tables import TRIAL_GAINS

NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)
SESSIONS = 250
Gains = np.ndarray
TIMES = pl.Series(
    "event_time", [NOW - timedelta(days=SESSIONS - n) for n in range(SESSIONS)], TRIAL_GAINS.schema["event_time"]
)


def tuned_on_shuffled_labels(seed: int, trials: int) -> Gains:
    """Gains ``[session, trial]`` of positions by random weights of four features, on labels that were shuffled."""
    rng = np.random.default_rng(seed)
    features, weights = rng.normal(size=(SESSIONS, 4)), rng.normal(size=(4, trials))
    labels = rng.permutation(0.01 * rng.standard_t(5, SESSIONS))
    gains: Gains = np.tanh(features @ weights) * labels[:, None]
    return gains


def over_five_sessions(seed: int, trials: int) -> Gains:
    """Gains ``[session, trial]`` over five sessions each, one per session, so that neighbours share four of them."""
    sums = np.random.default_rng(seed).normal(0, 0.01, (SESSIONS + 5, trials)).cumsum(axis=0)
    gains: Gains = sums[5:] - sums[:-5]
    return gains


def share_that_passes(
    folder: Path, worlds: range, trials: int, make: Callable[[int, int], Gains], horizon: int = 1
) -> float:
    """Share of worlds whose winner has a deflated Sharpe ratio above .95; every second trial was pruned as well."""
    ledger = TrialLedger(Lake(folder), NOW)
    ledger.record(
        [
            ScoredTrial(
                f"world {seed}", "search", "tuned", {"weights": place}, horizon_sessions=horizon,
                gains=pl.DataFrame([TIMES, pl.Series("gain", column)]),
            )
            for seed in worlds
            for place, column in enumerate(make(seed, trials).T)
        ]
    )  # fmt: skip
    found = families_of(ledger.lake, NOW, with_overfitting=False)
    assert [family.trials for family in found] == [trials] * len(worlds)
    return float(np.mean([(family.deflated_sharpe or 0) > 0.95 for family in found]))


def test_tuning_on_shuffled_labels_passes_for_skill_in_at_most_one_world_of_twenty(tmp_path: Path) -> None:
    assert share_that_passes(tmp_path, range(25), 80, tuned_on_shuffled_labels) <= 0.05


def test_gains_that_overlap_pass_for_skill_in_at_most_one_world_of_twenty(tmp_path: Path) -> None:
    assert share_that_passes(tmp_path, range(100), 5, over_five_sessions, horizon=5) <= 0.05


@pytest.mark.slow
def test_two_hundred_trials_in_two_hundred_worlds(tmp_path: Path) -> None:
    shares = [
        share_that_passes(tmp_path / str(first), range(first, first + 20), 200, tuned_on_shuffled_labels)
        for first in range(0, 200, 20)
    ]
    assert np.mean(shares) <= 0.05
