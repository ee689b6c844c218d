"""Compiles what is missing of the feature kernels, before a command begins to wait for them."""

from typing import TYPE_CHECKING

from dagster_project.commands.shell.bars import with_bar

if TYPE_CHECKING:
    from rich.console import Console


def compile_missing_kernels(out: "Console", style: str = "") -> None:
    """Compile the feature kernels that no process has compiled yet, and say so; say nothing where there are none."""
    from feature_repo.compiling import compile_kernels

    compile_kernels(
        tell=lambda sentence: out.print(f"  {sentence}", style=style, highlight=False),
        shown=lambda done, total: with_bar(done, "kernels", total),
    )
