"""`quantlake leaks`: look-ahead checks of everything declared, or of a file of the user's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dagster_project.commands.shell import console as console_of

if TYPE_CHECKING:
    from feature_repo.leaks import LeakCheck, SelfTest

WIDTH = 160
"""Columns of the table where neither a terminal nor COLUMNS says how many, as in a log file."""


def leaks(
    path: Annotated[Path | None, typer.Argument(help="A Python file of your own; see docs/leaks.md.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object per column instead of the table.")] = False,
) -> None:
    """Look for look-ahead in every feature, label, regime, scaler and split, or in a file of your own."""
    from feature_repo.leaks import as_values

    console = console_of(WIDTH)

    def tell(sentence: str) -> None:
        if not as_json:
            console.print(sentence, markup=False, highlight=False)

    checked = _everything(tell) if path is None else _of_file(path, tell)
    if not as_json:
        _show(console, checked)
    tests = _self_tests(tell) if path is None else ()
    if as_json:
        console.print_json(json.dumps(as_values((*checked, *(one for test in tests for one in test.checked)))))
    if not all(subject.passed for subject in checked) or not all(test.passed for test in tests):
        raise typer.Exit(1)


def _everything(tell: Callable[[str], None]) -> "list[LeakCheck]":
    from dagster_project.checks.leaks import DECLARED
    from feature_repo.compiling import compile_kernels
    from feature_repo.leaks import FreshProcesses, check, declared_subjects

    compile_kernels(tell=tell)
    subjects, checked = declared_subjects(DECLARED), []
    with FreshProcesses(*DECLARED) as processes:
        for number, subject in enumerate(subjects, start=1):
            tell(f"[{number}/{len(subjects)}] {subject.kind} {subject.name} ...")
            checked.append(check(subject, answers=processes.answers_of(subject.name)))
    return checked


def _of_file(path: Path, tell: Callable[[str], None]) -> "list[LeakCheck]":
    """Check a file of the user's own on the trial market and on the bars of the home, or else the packaged ones."""
    from feature_repo.leaks import check_file, real_bars
    from lake.errors import SourceError
    from lake.settings import settings
    from lake.store import Lake

    try:
        real = real_bars(Lake.open(), settings().clock.now())
        tell(real.sentence())
    except SourceError as error:
        real = None
        tell(f"Real bars: none, so that a leak for one real symbol or late in a long history is not seen. {error}")
    return list(check_file(path, real))


def _self_tests(tell: Callable[[str], None]) -> "tuple[SelfTest, ...]":
    from feature_repo.leaks import real_bars, self_test, self_test_of_files
    from lake.errors import SourceError

    tell("Self-test: planted leaks and clean look-alikes, about a minute ...")
    in_process = self_test()
    tell(in_process.sentence())
    try:
        of_files = self_test_of_files(real_bars())
    except SourceError as error:
        tell(f"Self-test of files left out: {error}")
        return (in_process,)
    tell(of_files.sentence("Self-test of files"))
    return in_process, of_files


def _show(console: Console, checked: "list[LeakCheck]") -> None:
    from feature_repo.leaks import as_table

    console.print(as_table(checked, "Look-ahead"))
    columns = sum(len(subject.columns) for subject in checked)
    leaking = sum(len(subject.leaking) for subject in checked)
    seconds = sum(subject.seconds for subject in checked)
    console.print(f"{leaking} of {columns} columns leak, {seconds:.1f} s.", highlight=False)
