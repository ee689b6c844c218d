"""`quantlake leaks`: look-ahead checks of everything declared, or of a file of the user's own."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    is_for_program,
    with_bar,
)
from dagster_project.commands.shell import console as console_of

if TYPE_CHECKING:
    from feature_repo.leaks import LeakCheck, SelfTest

Item = TypeVar("Item")
Shown = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Passes items of work on while it shows how many of them are done: items, what they are, how many."""
WIDTH = 160
"""Columns of the table where neither a terminal nor COLUMNS says how many, as in a log file."""


def leaks(
    path: Annotated[Path | None, typer.Argument(help="A Python file of your own; see docs/leaks.md.")] = None,
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Look for look-ahead in every feature, label, regime, scaler and split, or in a file of your own."""
    from feature_repo.leaks import as_values

    console, is_quiet = console_of(WIDTH), as_json or as_csv

    def tell(sentence: str) -> None:
        if not is_quiet:
            console.print(sentence, markup=False, highlight=False)

    def shown(items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
        return items if is_quiet else with_bar(items, what, total)

    checked = _everything(tell, shown) if path is None else _of_file(path, tell)
    if not is_quiet:
        _show(console, checked)
    tests = _self_tests(tell, shown) if path is None else ()
    values = as_values((*checked, *(one for test in tests for one in test.checked)))
    is_for_program(values, DataTable.of_records(values), as_json=as_json, as_csv=as_csv)
    if not all(subject.passed for subject in checked) or not all(test.passed for test in tests):
        raise typer.Exit(1)


def _everything(tell: Callable[[str], None], shown: Shown) -> "list[LeakCheck]":
    from dagster_project.checks.leaks import DECLARED
    from feature_repo.compiling import compile_kernels
    from feature_repo.leaks import FreshProcesses, check, declared_subjects

    compile_kernels(tell=tell, shown=lambda done, total: shown(done, "kernels", total))
    subjects, checked = declared_subjects(DECLARED), []
    with FreshProcesses(*DECLARED) as processes:
        for number, subject in enumerate(shown(subjects, "subjects", len(subjects)), start=1):
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


def _self_tests(tell: Callable[[str], None], shown: Shown) -> "tuple[SelfTest, ...]":
    from feature_repo.leaks import real_bars, self_test, self_test_of_files
    from lake.errors import SourceError

    tell("Self-test: planted leaks and clean look-alikes, about a minute ...")
    in_process = self_test(shown=lambda subjects, total: shown(subjects, "planted subjects", total))
    tell(in_process.sentence())
    try:
        of_files = self_test_of_files(real_bars(), shown=lambda files, total: shown(files, "planted files", total))
    except SourceError as error:
        tell(f"Self-test of files left out: {error}")
        return (in_process,)
    tell(of_files.sentence("Self-test of files"))
    return in_process, of_files


def _show(console: Console, checked: "list[LeakCheck]") -> None:
    from feature_repo.leaks import as_lines

    columns = (
        ShownColumn("what"),
        ShownColumn("columns", rank=1),
        ShownColumn("replayed", rank=2),
        ShownColumn("leaking"),
        ShownColumn("seconds", shown=_seconds, rank=3),
        ShownColumn("finding", "first offending row", wraps=True),
    )
    lines = [{column.name: "" for column in columns} | line for line in as_lines(checked)]
    console.print(DataTable.of("Look-ahead", columns, lines))
    counted = sum(len(subject.columns) for subject in checked)
    mixing = sum(len(subject.mixing) for subject in checked)
    leaking = sum(len(subject.leaking) for subject in checked) - mixing
    seconds = sum(subject.seconds for subject in checked)
    mixed = f"{mixing} mix{'es' * (mixing == 1)} symbols, " if mixing else ""
    console.print(f"{leaking} of {counted} columns leak, {mixed}{seconds:.1f} s.", highlight=False)


def _seconds(value: float | str) -> str:
    """Seconds of a subject; nothing in the line of a column."""
    return value if isinstance(value, str) else f"{value:.1f}"
