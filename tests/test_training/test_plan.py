"""The plan of a training counts what the training does, and knows a duration only where one was measured."""

import json
from pathlib import Path

import pytest

from training.experiments import Experiment, SearchPlan, SplitPlan, load_experiment, plan_training
from training.models import MODELS

NETWORKS = {name for name, card in MODELS.items() if card.is_network}


def record(folder: Path, name: str, **given: object) -> None:
    """Write what a training wrote down of its models."""
    fitted = {"windows": 1_000, "epochs": 3, "epochs_of_refit": 2, "seconds": 10.0} | given
    (folder / name).mkdir(parents=True)
    rows = {model: fitted if model in NETWORKS else fitted | {"epochs": 0} for model in MODELS}
    (folder / name / "trained_models.json").write_text(json.dumps(rows), encoding="utf-8")


def test_sizes_follow_from_the_experiment(tmp_path: Path) -> None:
    full = plan_training(load_experiment("full"), 70_000, tmp_path)
    assert (full.windows, full.folds, full.seeds, full.trials) == (70_000, 3, 5, 40)
    searched = sum(bool(card.space) for card in MODELS.values())
    at_once = len(MODELS) - len(NETWORKS)
    assert full.fits == 4 * (at_once + 5 * len(NETWORKS)) + 40 * searched
    strided = plan_training(Experiment(splits=SplitPlan(train_stride_sessions=5)), 70_000, tmp_path)
    assert strided.windows == 14_000


def test_more_trials_and_more_windows_are_more_work(tmp_path: Path) -> None:
    few, many = (plan_training(Experiment(search=SearchPlan(trials=n)), 9_000, tmp_path) for n in (1, 9))
    larger = plan_training(Experiment(search=SearchPlan(trials=1)), 18_000, tmp_path)
    for name in NETWORKS:
        assert few.passes[name] < many.passes[name]
        assert few.passes[name] < larger.passes[name]


def test_how_long_is_not_known_until_a_network_was_trained_here(tmp_path: Path) -> None:
    nothing = plan_training(Experiment(), 9_000, tmp_path / "none")
    assert nothing.seconds is None
    assert "not known here" in " ".join(nothing.sentences())
    record(tmp_path, "one")
    known = plan_training(Experiment(), 9_000, tmp_path)
    assert known.rates == dict.fromkeys(NETWORKS, 500.0)
    assert known.seconds == pytest.approx(sum(known.passes.values()) / 500)
    assert "it had 1,000 windows" in " ".join(known.sentences())


def test_a_training_that_took_no_time_or_had_no_network_gives_no_rate(tmp_path: Path) -> None:
    record(tmp_path, "one", seconds=0.0)
    assert plan_training(Experiment(), 9_000, tmp_path).seconds is None
