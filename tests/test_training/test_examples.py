"""The examples in the docstrings of this room run, and what a notebook user calls has one."""

import importlib

import pytest

from support.examples import failed_examples, modules_with_examples

MODULES = modules_with_examples("training")
CALLED = {
    "training.experiments": ("list_experiments", "load_experiment", "parse_experiment"),
    "training.models": ("card_of", "build_network", "ModelCard"),
    "training.data": ("fit_scaler", "walk_forward", "sessions_of"),
    "training.fit": ("fit_model",),
    "training.judge": (
        "mean_absolute_error",
        "pinball_loss",
        "coverage",
        "direction_hits",
        "hit_rate",
        "information_coefficient",
        "t_value",
    ),
}


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module: str) -> None:
    assert failed_examples(module) == ""


@pytest.mark.parametrize("face", CALLED)
def test_what_a_notebook_calls_has_an_example(face: str) -> None:
    public = importlib.import_module(face)
    assert [name for name in CALLED[face] if ">>>" not in (getattr(public, name).__doc__ or "")] == []
