"""Bars of commands: how many of their items are done and the time left, on a terminal and nowhere else."""

import os
import pty
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

import pytest

from dagster_project.commands.shell import counting_bar, print_line, with_bar

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say that terminals have 100 columns and can move the cursor."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")


@contextmanager
def terminal() -> Iterator[Callable[[], str]]:
    """Let the block write to a terminal; give a function that reads what stood on it so far."""
    leader, follower = pty.openpty()
    os.set_blocking(leader, False)
    with os.fdopen(follower, "w", encoding="utf-8") as written, os.fdopen(leader, "rb") as seen:

        def read() -> str:
            written.flush()
            return CONTROL.sub("", (seen.read() or b"").decode())

        with redirect_stdout(written):
            yield read


def test_a_bar_has_a_total_and_the_time_left() -> None:
    with terminal() as shown:
        assert list(with_bar(["bars", "labels"], "tables", total=2)) == ["bars", "labels"]
        assert re.search(r"tables .*2/2 \d:\d\d:\d\d left", shown())


def test_lines_of_the_block_stand_above_the_bar() -> None:
    with terminal() as shown:
        with counting_bar("stages", total=3) as count:
            print_line("bars: 26 new")
            count()
        assert re.search(r"bars: 26 new\s+stages .*1/3", shown())


def test_a_terminal_is_written_to_again_after_an_interrupt() -> None:
    with terminal() as shown:
        with pytest.raises(KeyboardInterrupt), counting_bar("stages", total=3):
            raise KeyboardInterrupt
        print_line("after")
        assert shown().endswith("after\r\n")


def test_there_is_no_bar_in_a_pipe() -> None:
    with redirect_stdout(StringIO()) as pipe, counting_bar("stages", total=1) as count:
        count()
    assert pipe.getvalue() == ""
