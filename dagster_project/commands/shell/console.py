"""The console of the commands."""

import shutil

from rich.console import Console

WIDTH = 118
"""Columns where neither a terminal nor COLUMNS says how many."""


def console(width: int = WIDTH, *, soft_wrap: bool = False, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal or COLUMNS says, or else of this width, as in a log."""
    columns = shutil.get_terminal_size(fallback=(width, 25)).columns
    return Console(width=columns, soft_wrap=soft_wrap, stderr=stderr)


def print_line(text: str) -> None:
    """Print a sentence as it is: no markup, no highlights, no line breaks."""
    console(soft_wrap=True).print(text, highlight=False, markup=False)
