"""The examples in the docstrings of the forecast path run and give what they show."""

import doctest
import importlib

import pytest

MODULES = ("serving.forecasts.blending", "serving.predict.answers", "serving.predict.making", "serving.replay.findings")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, globs=vars(module).copy())
    assert result.attempted > 0
    assert result.failed == 0
