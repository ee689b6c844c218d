"""The examples in the docstrings of the room run."""

import doctest

from dagster_project import plurals


def test_the_examples_give_what_they_show() -> None:
    outcome = doctest.testmod(plurals)
    assert (outcome.failed, outcome.attempted > 0) == (0, True)
