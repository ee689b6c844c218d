"""`quantlake quality`: what the data of a market is worth, in the terminal and as a page."""

import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    fixed,
    is_for_program,
    print_line,
    require_lake,
    taking_turn,
    with_bar,
)
from dagster_project.plurals import counted
from lake.errors import DataQualityError

if TYPE_CHECKING:
    from datetime import datetime

    from lake.assessment import QualitySummary
    from lake.store import Lake

PARTS = ("completeness", "validity", "timeliness", "agreement", "score")


def quality(
    *,
    opens: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    rechecks: Annotated[
        bool, typer.Option("--recheck", help="Check every row of every table again, not only what is new.")
    ] = False,
) -> None:
    """Score what each source delivered, flag what looks odd, and write the quality page of the market."""
    from lake.assessment import PAGE, report_quality, summarise
    from lake.settings import settings
    from lake.store import Lake

    configured = settings()
    require_lake(configured)
    page = configured.reports / PAGE
    if rechecks:
        with taking_turn("quality"):
            _recheck(Lake.open(configured), configured.clock.now())
        return
    with taking_turn("quality"):
        report_quality(Lake.open(configured), configured.clock, page)
    summary = summarise(Lake.open(configured), configured.clock.now())
    document = {"market": summary.market, "now": summary.now, "scores": summary.recent, "bars": summary.bars}
    document |= {"raw_rows": summary.raw_rows, "refused": summary.refused, "findings": summary.rules, "page": page}
    document |= {"known_basis": summary.knowledge.shares}
    if not is_for_program(document, _scores(summary), as_json=as_json, as_csv=as_csv):
        _show(summary)
        print_line(f"The page: {page}")
    if opens:
        webbrowser.open(page.as_uri())


def _scores(summary: "QualitySummary") -> DataTable:
    """Scores from 0 to 1 of each source."""
    rows = [{"source": source, **parts} for source, parts in sorted(summary.recent.items())]
    return DataTable.of("", (ShownColumn("source"), *(ShownColumn(name, shown=fixed(3)) for name in PARTS)), rows)


def _recheck(lake: "Lake", now: "datetime") -> None:
    """Check whole tables, whatever passed before; the next runs go on from there.

    Raises
    ------
    DataQualityError
        If a table fails, after all were checked.
    """
    from dagster_project.checks.tables import BESIDE, GATED
    from feature_repo.catalog import spec_of
    from feature_repo.materialize.expectations import check_new_rows
    from lake.quality import forget_passes

    forget_passes(lake)
    failed = []
    specs = [spec for spec in map(spec_of, (*GATED, *BESIDE)) if lake.exists(spec)]
    for spec in with_bar(specs, "tables", len(specs)):
        checked = check_new_rows(lake, spec, now)
        if checked.report.success:
            print_line(f"{spec.name}: {checked.scope} meet {counted(len(checked.report.findings), 'expectation')}")
        else:
            failed.append(spec.name)
            print_line(f"{spec.name}: {checked.report.sentence()}")
    if failed:
        raise DataQualityError(
            f"{counted(len(failed), 'table')} of {len(specs)} hold rows that break a rule: {', '.join(failed)}. The "
            "lines above name the rules, the first row of each, and the command that shows it."
        )


def _show(summary: "QualitySummary") -> None:
    print_line(f"{summary.market} as known at {summary.now:%Y-%m-%d %H:%M} UTC: {summary.bars:,} bars.\n")
    console().print(_scores(summary))
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
