"""The checker checked: twenty leaks of different kinds are caught, fifteen computations that look like one are not."""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
import pytest

from feature_repo.leaks import LeakSubject, SelfTest, counterfactuals, self_test, trial_world
from feature_repo.leaks.lookalikes import LOOKALIKES
from feature_repo.leaks.planted import LEAKS, by_symbol

SESSIONS = 120
"""Fewer than the 400 of `make leaks`."""
ASKED_FOR = {
    "tomorrow",
    "centred_window",
    "filled_backwards",
    "interpolated",
    "scaled_over_everything",
    "target_in_features",
    "on_a_rare_event",
    "on_one_weekday",
    "revised_macro",
    "adjusted_price_level",
}
LOOK_LIKE_ONE = {"long_ema", "expanding_z_score", "fft_rounding"}


@pytest.fixture(scope="module")
def tested() -> SelfTest:
    return self_test(sessions=SESSIONS)


@pytest.mark.parametrize("name", [planted.name for planted in LEAKS])
def test_a_planted_leak_is_caught_by_the_check_that_must(tested: SelfTest, name: str) -> None:
    assert name in tested.caught


@pytest.mark.parametrize("name", [planted.name for planted in LOOKALIKES])
def test_a_clean_look_alike_is_not_flagged(tested: SelfTest, name: str) -> None:
    assert name in tested.passed_over


def test_the_kinds_that_must_be_there_are() -> None:
    assert {planted.name for planted in LEAKS} >= ASKED_FOR
    assert {planted.name for planted in LOOKALIKES} >= LOOK_LIKE_ONE


def test_the_self_test_passes_and_says_so(tested: SelfTest) -> None:
    assert tested.passed
    assert tested.sentence().startswith("Self-test: 20 of 20 planted leaks caught, 0 of 15 clean look-alikes flagged, ")


@pytest.mark.slow
def test_the_self_test_passes_over_four_hundred_sessions() -> None:
    assert self_test().passed


def test_a_checker_without_its_replay_misses_what_acts_on_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of the checker: no replay but of the last session, and leaks that only act now and then go by."""
    one_session = counterfactuals.replayed
    monkeypatch.setattr(counterfactuals, "replayed", lambda world, at, time: one_session(world, at[-1:], time))
    rare = [planted for planted in LEAKS if planted.name in {"on_a_rare_event", "on_one_weekday"}]
    assert self_test(rare, [], sessions=100).missed == ("on_a_rare_event", "on_one_weekday")


def test_a_checker_that_sees_leaks_everywhere_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = [by_symbol("tomorrow_called_clean", "", pl.col("close").pct_change().shift(-1))]
    tested = self_test([], clean, sessions=60)
    assert not tested.passed
    assert tested.sentence().endswith("Wrongly flagged: tomorrow_called_clean.")


def test_each_subject_is_passed_on_with_how_many_there_are() -> None:
    rounding = [planted for planted in LOOKALIKES if planted.name == "fft_rounding"]
    seen: list[tuple[int, int]] = []

    def shown(subjects: Iterable[LeakSubject], total: int) -> Iterator[LeakSubject]:
        for number, subject in enumerate(subjects, start=1):
            yield subject
            seen.append((number, total))

    assert self_test([], rounding, sessions=40, shown=shown).passed_over == ("fft_rounding",)
    assert seen == [(1, 1)]


def test_fft_rounding_does_change_with_the_future_in_its_last_digits() -> None:
    """Else the look-alike would test nothing."""
    (fft,) = (planted for planted in LOOKALIKES if planted.name == "fft_rounding")
    world = trial_world(SESSIONS)
    cut = world.sessions[100]
    past = pl.col("event_time") <= cut
    before, after = (fft.compute(w).filter(past)["fft_rounding"].to_numpy() for w in (world.until(cut), world))
    assert not np.array_equal(before, after)
    np.testing.assert_allclose(before, after, rtol=1e-12)
