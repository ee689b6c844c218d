"""A bar below the lines of a command: how many of its steps are done, and about how long the others take."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def with_bar(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Go through items of work and show a bar with their total and the time left; nothing in a pipe.

    A command prints a line for each item, which is what a reader of a pipe sees.

    Examples
    --------
    >>> list(with_bar(["bars", "labels"], "tables", total=2))
    ['bars', 'labels']
    """
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        yield from items
        return
    columns = (TextColumn(f"  {what}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("left"))
    with Progress(*columns, console=console, transient=True) as bar:
        yield from bar.track(items, total=total)
