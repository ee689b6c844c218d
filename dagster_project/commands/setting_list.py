"""`quantlake settings`: every setting, the value in force, where it came from, and what it means."""

from typing import Annotated

import typer

from dagster_project.commands.shell import AsCsv, AsJson, DataTable, ShownColumn, console, is_for_program, print_line


def show_settings(
    variable: Annotated[str | None, typer.Argument(help="One setting, e.g. QUANTLAKE_PORT; all when left out.")] = None,
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show every setting: the value in force, where it came from, its default and its meaning; secrets are masked."""
    from lake.setting_list import settings_in_force

    found = settings_in_force(variable)
    columns = (
        ShownColumn("variable"),
        ShownColumn("value", shown=str, wraps=True),
        ShownColumn("origin", "from", rank=2),
        ShownColumn("default", shown=str, wraps=True, rank=3),
        ShownColumn("meaning", wraps=True, rank=1),
    )
    table = DataTable.of("", columns, map(vars, found))
    if is_for_program(None, table, as_json=as_json, as_csv=as_csv):
        return
    if variable is None:
        console().print(table)
        print_line("Set one by the variable of its name, e.g. QUANTLAKE_PORT=3100 quantlake serve.")
    else:
        lines = ({"name": name, "value": value} for name, value in vars(found[0]).items())
        record = DataTable.of("", ("name", ShownColumn("value", shown=str, wraps=True)), lines, is_headed=False)
        console().print(record)
