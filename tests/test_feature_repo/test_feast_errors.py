"""Errors of this project under the `feast` command, and in a program that calls Feast."""

import click
import pytest
from click.testing import CliRunner

from feature_repo.feast_store.command_line import told_in_a_sentence
from lake.errors import LookAheadError


@click.command()
def materialize() -> None:
    with told_in_a_sentence():
        raise LookAheadError("The market stands at 2012-12-31.")


def test_a_command_ends_with_one_sentence_and_exit_code_1() -> None:
    ended = CliRunner().invoke(materialize)
    assert ended.exit_code == 1
    assert ended.stderr == "Error: LookAheadError: The market stands at 2012-12-31.\n"
    assert ended.stdout == ""


def test_a_program_gets_the_error_itself() -> None:
    with pytest.raises(LookAheadError, match="stands at"), told_in_a_sentence():
        raise LookAheadError("The market stands at 2012-12-31.")


def test_an_error_of_somebody_else_is_left_as_it_is() -> None:
    @click.command()
    def fail() -> None:
        with told_in_a_sentence():
            raise KeyError("technical")

    assert isinstance(CliRunner().invoke(fail).exception, KeyError)
