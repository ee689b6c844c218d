"""The examples in the docstrings of the room run."""

import pytest

from support.examples import failed_examples, modules_with_examples


@pytest.mark.parametrize("name", modules_with_examples("dagster_project"))
def test_the_examples_give_what_they_show(name: str) -> None:
    assert failed_examples(name) == ""
