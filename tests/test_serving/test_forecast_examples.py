"""The examples in the docstrings of the forecast path run and give what they show."""

import pytest

from support.examples import failed_examples

MODULES = ("serving.forecasts.blending", "serving.predict.answers", "serving.predict.making", "serving.replay.findings")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    assert failed_examples(name) == ""
