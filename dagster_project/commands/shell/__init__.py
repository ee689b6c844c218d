"""Shared parts of the commands: console, tables, output for programs, job lock, and preconditions."""

from dagster_project.commands.shell.bars import counting_bar, with_bar
from dagster_project.commands.shell.console import WIDTH, console, print_line
from dagster_project.commands.shell.kernels import compile_missing_kernels
from dagster_project.commands.shell.market_commands import in_market, market_command
from dagster_project.commands.shell.output import (
    AsCsv,
    AsJson,
    is_for_program,
    plain,
    print_csv,
    print_json,
)
from dagster_project.commands.shell.required import require_experiment, require_home, require_lake
from dagster_project.commands.shell.stopping import stopped_sentence
from dagster_project.commands.shell.streams import progress_on_stderr
from dagster_project.commands.shell.tables import (
    DataTable,
    ShownColumn,
    day_of,
    fixed,
    minute_of,
    percent,
    report_columns,
    short_digests,
    text_of,
)
from dagster_project.commands.shell.taking_turns import taking_turn

__all__ = [
    "WIDTH",
    "AsCsv",
    "AsJson",
    "DataTable",
    "ShownColumn",
    "compile_missing_kernels",
    "console",
    "counting_bar",
    "day_of",
    "fixed",
    "in_market",
    "is_for_program",
    "market_command",
    "minute_of",
    "percent",
    "plain",
    "print_csv",
    "print_json",
    "print_line",
    "progress_on_stderr",
    "report_columns",
    "require_experiment",
    "require_home",
    "require_lake",
    "short_digests",
    "stopped_sentence",
    "taking_turn",
    "text_of",
    "with_bar",
]
