"""`quantlake drift`: what drifted from the training years, in the terminal and as a page."""

import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    is_for_program,
    print_line,
    require_lake,
    taking_turn,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from serving.drift import DriftFigures

SHOWN = 12
"""Findings in the terminal, those that moved most first."""
COLUMNS = (
    "subject",
    "aspect",
    ShownColumn("p_value", "p-value", shown="{:.3g}".format),
    ShownColumn("adjusted_p_value", "corrected", shown="{:.3g}".format),
    ShownColumn("is_drifted", "drifted"),
)


def drift(
    *,
    opens: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show which features and forecasts drifted from the training years, and write Evidently's page of them.

    JSON and CSV hold every finding and write no page.
    """
    from lake.settings import settings
    from lake.store import Lake
    from serving.drift import newest_figures, write_page

    configured = settings()
    require_lake(configured)
    lake = Lake.open(configured)
    figures = newest_figures(lake, configured.clock.now())
    rows = figures.rows.to_dicts()
    document = {"session": figures.session, "drifted": figures.drifted, "findings": rows}
    if is_for_program(document, DataTable.of("", COLUMNS, rows), as_json=as_json, as_csv=as_csv):
        return
    _show(figures)
    with taking_turn("drift"):
        page = write_page(lake, configured, figures)
    print_line(f"The page: {page}")
    if opens:
        webbrowser.open(page.as_uri())


def _show(figures: "DriftFigures") -> None:
    rows = figures.rows.to_dicts()
    subjects = len({row["subject"] for row in rows})
    print_line(
        f"{len(figures.drifted)} of {counted(subjects, 'subject')} drifted from the training years, as of the close of "
        f"{figures.session:%Y-%m-%d}: features, and medians and bands of forecasts.\n"
    )
    console().print(DataTable.of("", COLUMNS, rows[:SHOWN]))
    if len(rows) > SHOWN:
        print_line(f"{counted(len(rows) - SHOWN, 'more finding')} moved less; table `drift` has them all.")
