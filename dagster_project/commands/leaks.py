"""`quantlake leaks`: look-ahead checks of everything declared, or of a file of the user's own."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dagster_project.commands.shell import console as console_of

if TYPE_CHECKING:
    from feature_repo.leaks import LeakCheck

WIDTH = 160
"""Columns of the table where neither a terminal nor COLUMNS says how many, as in a log file."""


def leaks(
    path: Annotated[Path | None, typer.Argument(help="A Python file of your own; see docs/leaks.md.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object per column instead of the table.")] = False,
) -> None:
    """Look for look-ahead in every feature, label, regime, scaler and split, or in a file of your own."""
    from dagster_project.checks.leaks import every_subject
    from feature_repo.compiling import compile_kernels
    from feature_repo.leaks import as_values, check, self_test, subjects_of_file

    console = console_of(WIDTH)
    subjects = every_subject() if path is None else subjects_of_file(path)
    if path is None:
        compile_kernels(tell=lambda sentence: None if as_json else console.print(sentence, highlight=False))
    checked = []
    for number, subject in enumerate(subjects, start=1):
        if not as_json:
            console.print(
                f"[{number}/{len(subjects)}] {subject.kind} {subject.name} ...", markup=False, highlight=False
            )
        checked.append(check(subject))
    if path is None and not as_json:
        console.print("Self-test: planted leaks and clean look-alikes, about 20 s ...", highlight=False)
    tested = self_test() if path is None else None
    if as_json:
        console.print_json(json.dumps(as_values((*checked, *(tested.checked if tested else ())))))
    else:
        _show(console, checked)
        if tested:
            console.print(tested.sentence(), highlight=False)
    if not all(subject.passed for subject in checked) or (tested and not tested.passed):
        raise typer.Exit(1)


def _show(console: Console, checked: "list[LeakCheck]") -> None:
    from feature_repo.leaks import as_table

    console.print(as_table(checked, "Look-ahead"))
    columns = sum(len(subject.columns) for subject in checked)
    leaking = sum(len(subject.leaking) for subject in checked)
    seconds = sum(subject.seconds for subject in checked)
    console.print(f"{leaking} of {columns} columns leak, {seconds:.1f} s.", highlight=False)
