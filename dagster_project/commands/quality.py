"""`quantlake quality`: what the data of a market is worth, in the terminal and as a page."""

import json
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dagster_project.commands.shell import console, print_line, require_lake, taking_turn

if TYPE_CHECKING:
    from lake.assessment import QualitySummary

PARTS = ("completeness", "validity", "timeliness", "agreement", "score")


def quality(
    *,
    opens: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of a table.")] = False,
) -> None:
    """Score what each source delivered, flag what looks odd, and write the quality page of the market."""
    from lake.assessment import PAGE, report_quality, summarise
    from lake.settings import settings
    from lake.store import Lake

    configured = settings()
    require_lake(configured)
    page = configured.reports / PAGE
    with taking_turn("quality"):
        report_quality(Lake.open(configured), configured.clock, page)
    summary = summarise(Lake.open(configured), configured.clock.now())
    if as_json:
        shown = {"market": summary.market, "now": summary.now, "scores": summary.recent, "bars": summary.bars}
        shown |= {"raw_rows": summary.raw_rows, "refused": summary.refused, "findings": summary.rules, "page": page}
        shown |= {"known_basis": summary.knowledge.shares}
        console().print_json(json.dumps(shown, default=str))
    else:
        _show(summary)
        print_line(f"The page: {page}")
    if opens:
        webbrowser.open(page.as_uri())


def _show(summary: "QualitySummary") -> None:
    print_line(f"{summary.market} as known at {summary.now:%Y-%m-%d %H:%M} UTC: {summary.bars:,} bars.\n")
    table = Table(header_style="", show_edge=False)
    for name in ("source", *PARTS):
        table.add_column(name, justify="left" if name == "source" else "right")
    for source, parts in sorted(summary.recent.items()):
        table.add_row(escape(source), *("-" if parts[name] is None else f"{parts[name]:.3f}" for name in PARTS))
    console().print(table)
    print_line("Means of the last 20 sessions.\n")
    print_line(f"refused   {summary.refused:,} of {summary.raw_rows:,} rows")
    for reason in summary.reasons:
        print_line(f"  {reason['reason']}: {reason['rows']:,}\n    {reason['next']}")
    print_line(f"odd bars  {sum(summary.rules.values()):,}")
    for rule, rows in summary.rules.items():
        print_line(f"  {rule.replace('_', ' ')}: {rows:,}")
    found = summary.disagreement
    if found.compared:
        print_line(f"sources   disagree on {found.disagreeing:,} of {found.compared:,} returns of the last 20 sessions")
    print_line("known     " + ",\n          ".join(summary.knowledge.parts()))
    worst = [each for each in summary.coverage if each.bars < each.sessions][:3]
    for each in worst:
        print_line(f"gaps      {each.symbol}: {each.sessions - each.bars:,} of {each.sessions:,} sessions have no bar")
    print_line("")
