"""The split and the scaler of training see nothing later, and mutants that do are caught."""

from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest

from feature_repo.leaks import LeakSubject, World, check
from lake.errors import LookAheadError
from training.data import Split, WindowSet, champion_split, leak_subjects
from training.data.leak_subjects import BOUNDARIES, scaler_rows, split_rows, training_subjects


@pytest.mark.parametrize("subject", training_subjects(), ids=lambda subject: subject.name)
def test_split_and_scaler_see_nothing_later(subject: LeakSubject) -> None:
    checked = check(subject)
    assert checked.passed, checked.leaks[:2]
    assert checked.replayed == len(BOUNDARIES)
    assert checked.rows > 50


def subject_of(kind: str) -> LeakSubject:
    (subject,) = (subject for subject in training_subjects() if subject.kind == kind)
    return subject


@pytest.mark.slow
def test_a_scaler_fitted_on_the_whole_sample_is_caught() -> None:
    def everything(windows: WindowSet, _: Split) -> WindowSet:
        return windows

    leaks = check(replace(subject_of("scaler"), compute=partial(scaler_rows, chosen=everything))).leaks
    assert {"replayed", "cut off", "disturbed"} <= {leak.how for leak in leaks}
    assert {"mean", "spread"} <= {leak.column for leak in leaks}


def test_a_scaler_that_sees_one_row_too_many_is_caught() -> None:
    def one_more(windows: WindowSet, split: Split) -> WindowSet:
        last = int(np.argmax(windows.keys["event_time"].to_numpy()))
        return windows.take(np.append(split.train, last))

    assert not check(replace(subject_of("scaler"), compute=partial(scaler_rows, chosen=one_more))).passed


def test_a_split_drawn_from_all_rows_there_are_is_caught() -> None:
    """Every fifth row by its number among all symbols' rows: later rows renumber the earlier ones."""

    def by_number(keys: pl.DataFrame, experiment) -> Split:
        split = champion_split(keys, experiment)
        return replace(split, train=split.train[(keys.height - split.train) % 5 == 0])

    leaks = check(replace(subject_of("split"), compute=partial(split_rows, split_of=by_number))).leaks
    assert "the row itself" in {leak.column for leak in leaks}


def test_a_split_that_does_not_purge_is_refused() -> None:
    def unpurged(keys: pl.DataFrame, experiment) -> Split:
        split = champion_split(keys, experiment)
        rows = keys.select((pl.col("event_time") < split.valid_start).arg_true()).to_series().to_numpy()
        return replace(split, train=rows)

    with pytest.raises(LookAheadError, match=r"train labels end at or after the validation starts"):
        check(replace(subject_of("split"), compute=partial(split_rows, split_of=unpurged)))


def test_a_world_too_short_for_any_split_has_no_rows() -> None:
    from feature_repo.leaks import trial_world

    world: World = trial_world(60)
    assert split_rows(world).is_empty()
    assert scaler_rows(world).is_empty()
    assert min(leak_subjects.BOUNDARIES) > 60
