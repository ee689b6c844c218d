"""`quantlake drift`: what drifted from the training years, in the terminal and as a page."""

import json
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dagster_project.commands.shell import console, print_line, require_lake, taking_turn
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from serving.drift import DriftFigures

SHOWN = 12
"""Findings in the terminal, those that moved most first."""


def drift(
    *,
    opens: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program, and write no page.")] = False,
) -> None:
    """Show which features and forecasts drifted from the training years, and write Evidently's page of them."""
    from lake.settings import settings
    from lake.store import Lake
    from serving.drift import newest_figures, write_page

    configured = settings()
    require_lake(configured)
    lake = Lake.open(configured)
    figures = newest_figures(lake, configured.clock.now())
    if as_json:
        shown = {"session": figures.session, "drifted": figures.drifted, "findings": figures.rows.to_dicts()}
        console().print_json(json.dumps(shown, default=str))
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
    table = Table(header_style="", show_edge=False)
    for name in ("subject", "aspect", "p-value", "corrected", "drifted"):
        table.add_column(name, justify="left" if name in {"subject", "aspect"} else "right")
    for row in rows[:SHOWN]:
        numbers = (f"{row[name]:.3g}" for name in ("p_value", "adjusted_p_value"))
        table.add_row(row["subject"], row["aspect"], *numbers, "yes" if row["is_drifted"] else "no")
    console().print(table)
    if len(rows) > SHOWN:
        print_line(f"{counted(len(rows) - SHOWN, 'more finding')} moved less; table `drift` has them all.")
