"""Commands of `quantlake models`: versions in service, trials, promotion, roll-back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import AsCsv, AsJson, DataTable, console, is_for_program, report_columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serving.deployment import DeploymentContext, Mode, Move

app = typer.Typer(help="Which model versions answer, and which are on trial.", no_args_is_help=True)

Model = Annotated[str, typer.Argument(help="Model, e.g. lstm.")]
Version = Annotated[str, typer.Argument(help="Registered version, e.g. 4.")]
Share = Annotated[float, typer.Option(min=0.001, max=1.0, help="Share of the symbols, by a stable hash.")]
PROSE = {"before", "files", "evidence", "reason"}
"""Columns whose cells may go over several lines."""
KEPT = 3
"""First columns, which every terminal shows."""
SOON = "A running service takes it up within a second."


@app.command()
def status(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show the champions, what is on trial with its evidence so far, and what was refused."""
    from serving.deployment import describe_deployment

    found = describe_deployment(_context())
    champions = _table("In service", found["champions"])
    if is_for_program(found, champions, as_json=as_json, as_csv=as_csv):
        return
    for table in (champions, _table("On trial", found["challengers"]), _table("Refused", found["refused"])):
        if table.rows:
            console().print(table)
    if not found["challengers"]:
        console().print("Nothing is on trial.", highlight=False)


@app.command()
def promote(model: Model, version: Version) -> None:
    """Put a registered version in service and point the registry's alias at it: quantlake models promote lstm 4."""
    from serving.deployment.following import promote_registered

    _done(promote_registered(_context(), model, version))


@app.command()
def shadow(model: Model, version: Version, *, share: Share = 1.0) -> None:
    """Let a version forecast beside the champion: what it says is logged and never answered."""
    _on_trial(model, version, "shadow", share)


@app.command()
def canary(model: Model, version: Version, *, share: Share = 0.2) -> None:
    """Let a version answer for a share of the symbols; the daily job takes it back if it does worse."""
    _on_trial(model, version, "canary", share)


@app.command()
def rollback(model: Model) -> None:
    """End the trial of a model if one runs, else put the champion before in service again."""
    from serving.deployment.following import roll_back_and_follow

    _done(roll_back_and_follow(_context(), model))


@app.command()
def restore() -> None:
    """Fetch damaged files of the versions in use from the registry again, and what is in service if that is damaged."""
    from serving.deployment.restoring import restore as restore_damaged

    for sentence in restore_damaged(_context()) or ["Every model in use is whole; nothing is to be restored."]:
        console().print(sentence, markup=False, highlight=False, soft_wrap=True)


def _on_trial(model: str, version: str, mode: "Mode", share: float) -> None:
    from serving.deployment.following import try_registered

    _done(try_registered(_context(), model, version, mode, share), f" for {share:.0%} of the symbols")


def _done(move: "Move", more: str = "") -> None:
    if move.what == "model.rollback" and move.alias != "champion":
        sentence = (
            f"The {move.alias} of {move.model}, version {move.previous}, is over; version {move.version} answers."
        )
    else:
        before = f" (before: {move.previous})" if move.previous else ""
        sentence = f"The {move.alias} of {move.model} is version {move.version}{more}{before}, file {move.digest[:12]}."
    console().print(f"{sentence} {SOON}", markup=False, highlight=False, soft_wrap=True)


def _context() -> "DeploymentContext":
    from lake.settings import settings
    from lake.store import Lake
    from serving.audit import console as who
    from serving.deployment import DeploymentContext

    configured = settings()
    clock = configured.clock
    return DeploymentContext(lake=Lake.open(configured), configured=configured, clock=clock, who=who())


def _table(title: str, rows: "Iterable[dict[str, Any]]") -> DataTable:
    found = list(rows)
    names = list(found[0]) if found else []
    return DataTable.of(title, report_columns(names, prose=PROSE, kept=names[:KEPT]), found)
