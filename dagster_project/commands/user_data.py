"""Commands of `quantlake user-data`: export and delete what is stored about the holder of a key."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dagster_project.commands.shell import console, print_line
from dagster_project.plurals import counted

app = typer.Typer(help="What is stored about the holder of a key: export it, delete it.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="Id of a key as `quantlake keys list` shows it, or the key itself.")]


@app.command()
def export(
    key: KeyId,
    *,
    to: Annotated[Path | None, typer.Option(help="File to write; the terminal when left out.")] = None,
) -> None:
    """Hand over everything stored about a key, as JSON: its entry, its audit rows, what was asked for with it."""
    from lake.settings import settings
    from serving.audit import console as who
    from serving.forecast_log import user_data

    found = json.dumps(user_data.export(settings(), key, by=who()), indent=2)
    if to is None:
        console().print_json(found)
    else:
        to.write_text(f"{found}\n", encoding="utf-8")
        print_line(f"Everything stored about the key is in {to}.")


@app.command()
def delete(
    key: KeyId,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete everything that leads to the holder of a key; forecasts, recommendations and audit trail stay."""
    from lake.settings import settings
    from serving.audit import console as who
    from serving.forecast_log import user_data

    if not yes:
        typer.confirm("The key ends now, and which forecasts it asked for can never be told again. Go on?", abort=True)
    done = user_data.delete(settings(), key, by=who())
    asked = f"{counted(done.forecasts, 'forecast')} and {counted(done.recommendations, 'recommendation')}"
    print_line(
        f"The key is deleted, and with it the link to {asked}. "
        f"Kept under a pseudonym that leads nowhere: {counted(done.audit_rows, 'row')} of the audit trail."
    )
