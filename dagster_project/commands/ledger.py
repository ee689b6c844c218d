"""`quantlake ledger`: how many configurations were scored for each question, and what the best is worth given that."""

from typing import TYPE_CHECKING, Annotated, Any

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
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.ledger import FamilyRecord

Contains = Annotated[str, typer.Option("--family", help="Only families whose name contains this, e.g. lstm.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="A day, or an instant with its zone; by default now.")]
COLUMNS = (
    ShownColumn("family"),
    "trials",
    ShownColumn("failed", rank=4),
    ShownColumn("kind", "best by", shown=lambda kind: kind.replace("_", " "), rank=1),
    ShownColumn("sharpe", "Sharpe", shown=lambda value: f"{value:+.4f}"),
    ShownColumn("sessions", rank=2),
    ShownColumn("effective_sessions", "worth", shown=fixed(0), rank=3),
    ShownColumn("deflated_sharpe", "DSR", shown=fixed(3)),
    ShownColumn("estimate", "PBO (on noise)", wraps=True),
    ShownColumn("openings", "opened"),
)
LEGEND = """
trials: configurations scored, failed ones too; Sharpe: per session, mean over deviation of the gain on naive, or of
net returns; worth: independent sessions that say as much; DSR: deflated Sharpe ratio, the probability that it exceeds
what the best of so many trials has by chance, to be read once; PBO: how often the best of one half of history is below
the median in the other; on noise: where that lies in 90 of 100 cases without skill; opened: looks at the last test
interval."""
"""What the columns of the table are."""


def ledger(*, contains: Contains = "", as_of: AsOf = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show each family of trials: how many there were, the best of them, and what that is worth given their number."""
    from lake.clock import instant_of
    from lake.errors import UnknownNameError
    from lake.ledger import families_of
    from lake.settings import settings
    from lake.store import Lake

    configured = settings()
    require_lake(configured)
    now = configured.clock.now()
    every = families_of(Lake.open(configured), now if as_of is None else min(instant_of(as_of), now))
    found = [family for family in every if contains in family.family]
    if not found:
        raise UnknownNameError("family of trials", contains, [family.family for family in every])
    rows = [_row(family) for family in found]
    if is_for_program(rows, DataTable.of_records(rows), as_json=as_json, as_csv=as_csv):
        return
    _show(found, rows)


def _row(family: "FamilyRecord") -> dict[str, Any]:
    estimate = family.overfitting
    return {
        "family": family.family,
        "trials": family.trials,
        "failed": family.failed,
        "kind": family.kind,
        "subject": family.subject,
        "parameters": family.parameters,
        "sharpe": family.sharpe,
        "sessions": family.sessions,
        "effective_sessions": family.effective_sessions,
        "deflated_sharpe": family.deflated_sharpe,
        "overfitting": None if estimate is None else estimate.probability,
        "on_noise": None if estimate is None else [estimate.low, estimate.high],
        "overfitting_trials": None if estimate is None else estimate.strategies,
        "openings": family.openings,
        "last_opened": family.last_opened,
    }


def _estimate(family: "FamilyRecord") -> str | None:
    """Return the probability of back-test overfitting beside where it lies on noise; alone it says nothing."""
    found = family.overfitting
    return None if found is None else f"{found.probability:.2f} ({found.low:.2f} to {found.high:.2f})"


def _show(found: "Sequence[FamilyRecord]", rows: "Sequence[dict[str, Any]]") -> None:
    shown = [row | {"estimate": _estimate(family)} for family, row in zip(found, rows, strict=True)]
    console().print(DataTable.of("Trials by family, and the best of each", COLUMNS, shown))
    print_line(LEGEND)
    unscored = [family.family for family in found if family.sharpe is None]
    if unscored:
        print_line(f"No trial has a Sharpe ratio: {'; '.join(unscored)}.")
