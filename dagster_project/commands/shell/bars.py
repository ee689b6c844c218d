"""A bar below the lines of a command: how many of its steps are done, and about how long the others take."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


@contextmanager
def counting_bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar while the block runs, and give a function that counts one item as done; show nothing in a pipe.

    Lines that the block prints stand above the bar.

    Examples
    --------
    >>> with counting_bar("stages", total=1) as count:
    ...     count()
    """
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn(f"  {what}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("left"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def with_bar(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Go through items of work and show a bar with their total and the time left; nothing in a pipe.

    A command prints a line for each item, which is what a reader of a pipe sees.

    Examples
    --------
    >>> list(with_bar(["bars", "labels"], "tables", total=2))
    ['bars', 'labels']
    """
    with counting_bar(what, total) as count:
        for item in items:
            yield item
            count()
