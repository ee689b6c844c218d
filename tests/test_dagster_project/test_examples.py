"""The examples in the docstrings of the room run."""

from support.examples import failed_examples


def test_the_examples_give_what_they_show() -> None:
    assert failed_examples("dagster_project.plurals") == ""
