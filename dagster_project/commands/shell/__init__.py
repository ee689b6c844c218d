"""Shared parts of the commands: console, job lock, and preconditions."""

from dagster_project.commands.shell.bars import with_bar
from dagster_project.commands.shell.console import WIDTH, console, print_line
from dagster_project.commands.shell.kernels import compile_missing_kernels
from dagster_project.commands.shell.required import require_experiment, require_lake
from dagster_project.commands.shell.taking_turns import taking_turn

__all__ = [
    "WIDTH",
    "compile_missing_kernels",
    "console",
    "print_line",
    "require_experiment",
    "require_lake",
    "taking_turn",
    "with_bar",
]
