"""Commands of `quantlake desk`: halt and resume trading, who may trade, and the accounts on paper."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands import paper_desk
from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    is_for_program,
    minute_of,
    print_line,
)

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.risk import SwitchReading, SwitchState

app = typer.Typer(help="The trading desk: who may trade now, and accounts on paper.", no_args_is_help=True)

Reason = Annotated[str, typer.Argument(help="Why, on one line; the audit trail keeps it.")]
InScope = Annotated[str, typer.Option("--scope", help="account:NAME, strategy:NAME or symbol:NAME; all when left out.")]
LISTED = (
    ShownColumn("scope"),
    ShownColumn("state"),
    ShownColumn("since", shown=minute_of, rank=1),
    ShownColumn("by", wraps=True),
    ShownColumn("reason", wraps=True),
)


@app.command()
def halt(
    reason: Reason,
    *,
    scope: InScope = "account",
    is_reducing: Annotated[
        bool, typer.Option("--reducing", help="Let orders that lower exposure through, instead of none.")
    ] = False,
) -> None:
    """Stop trading within a second: quantlake desk halt "quotes are wrong". Closing orders of people still pass."""
    from lake.settings import settings
    from serving.audit import console as who
    from serving.risk import Scope, restrict

    configured, concerned = settings(), Scope.parse(scope)
    state: SwitchState = "reducing" if is_reducing else "halted"
    found = restrict(configured.home, state, by=who(), reason=reason, scope=concerned)
    _say(found)
    _settle(configured)


@app.command()
def resume(
    reason: Reason,
    *,
    by: Annotated[str, typer.Option("--by", help="Name of the person who answers for it.")],
    scope: InScope = "account",
) -> None:
    """Let a scope trade again: quantlake desk resume --by "A. Reviewer" "quotes were mended"."""
    from lake.settings import settings
    from serving.audit import console as who
    from serving.risk import Scope
    from serving.risk import resume as resume_trading

    configured = settings()
    found = resume_trading(configured.home, by=f"{by.strip()} ({who()})", reason=reason, scope=Scope.parse(scope))
    _say(found)
    _settle(configured)


@app.command()
def status(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show who may trade now, and each account on paper beside 1/N, with what earned its result."""
    from lake.settings import settings
    from serving.risk import read_latch

    found = read_latch(settings().home)
    rows, accounts = _rows(found), paper_desk.views()
    answer: dict[str, Any] = {"state": found.state, "problem": found.problem, "restrictions": rows}
    answer["accounts"] = [paper_desk.view_values(each) for each in accounts]
    if is_for_program(answer, DataTable.of("", LISTED, rows), as_json=as_json, as_csv=as_csv):
        return
    _say(found)
    for each in accounts:
        paper_desk.show_view(each)
    if not accounts:
        print_line('No account is open. `quantlake desk start --by NAME "reason"` opens one on paper.')


app.command()(paper_desk.start)
app.command()(paper_desk.decide)
app.command()(paper_desk.explain)
app.command()(paper_desk.replay)
app.command()(paper_desk.reconcile)
app.command()(paper_desk.export)


def _rows(found: "SwitchReading") -> list[dict[str, Any]]:
    return [
        {"scope": str(each.scope), "state": each.state, "since": each.since, "by": each.by, "reason": each.reason}
        for each in found.restrictions
    ]


def _say(found: "SwitchReading") -> None:
    print_line(f"Trading is {found.state}.{f' {found.problem}' if found.problem else ''}")
    if found.restrictions:
        console().print(DataTable.of("Restricted", LISTED, _rows(found)))
    if found.is_closed:
        print_line('Find out why, close what has to be closed, then run `quantlake desk resume --by NAME "reason"`.')


def _settle(configured: "Settings") -> None:
    """Bring the change into the tables; it is in force whether that works or not."""
    from serving.risk import settle

    try:
        settle(configured)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the tables, the change holds and its row waits
        print_line(f"It is in force. Its rows wait for the tables, and the next change writes them too: {error}")
