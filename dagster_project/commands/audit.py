"""Commands of `quantlake audit`: verify the audit trail, show its newest rows."""

import json
from typing import Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    is_for_program,
    print_line,
    short_digests,
)

app = typer.Typer(help="The audit trail: who did what, when, and is it all still there.", no_args_is_help=True)

FINDINGS = (ShownColumn("row"), ShownColumn("where"), ShownColumn("meaning", wraps=True))


@app.command()
def verify(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Check the hash of every row, and every drained forecast; the exit code is 1 if anything was changed since."""
    from serving import audit
    from serving.receipts import drain_digest

    lake = _lake()
    findings, altered = audit.verify(lake), drain_digest.verify(lake)
    rows: list[dict[str, Any]] = [{"row": finding.sequence, "meaning": finding.meaning} for finding in findings]
    rows += [{"row": None, "where": finding.where, "meaning": finding.problem} for finding in altered]
    if is_for_program(rows, DataTable.of("", FINDINGS, rows), as_json=as_json, as_csv=as_csv):
        pass
    elif findings or altered:
        for finding in findings:
            print_line(f"Row {finding.sequence} {finding.meaning}.")
        for other in altered:
            print_line(f"{other.where}: {other.problem}.")
    else:
        forecasts = sum(batch.count for batch in drain_digest.batches(lake))
        print_line(f"All {audit.length(lake)} rows are there, in order, as they were written.")
        print_line(f"All {forecasts:,} drained forecasts are as they were drained.")
    if findings or altered:
        raise typer.Exit(1)


@app.command()
def show(
    *,
    rows: Annotated[int, typer.Option(min=1, help="How many of the newest to show.")] = 30,
    what: Annotated[str, typer.Option(help="Only rows whose topic begins so, e.g. key or model.")] = "",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the newest rows of the trail; the pseudonym of a key that is still there is shown with its name."""
    from lake.settings import settings
    from serving import audit
    from serving.access import keys

    names = {key.who: f"{key.name} ({key.id})" for key in keys.listing(settings())}
    found = [_plain(row, names) for row in audit.newest(_lake(), rows, what)]
    columns = (
        ShownColumn("row"),
        ShownColumn("time"),
        ShownColumn("who", wraps=True),
        ShownColumn("what"),
        ShownColumn("result", rank=2),
        ShownColumn("details", shown=_details, wraps=True, rank=1),
    )
    table = DataTable.of(f"The newest {len(found)} rows", columns, found)
    if not is_for_program(None, table, as_json=as_json, as_csv=as_csv):
        console().print(table)


def _plain(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    details = {name: names.get(str(value), value) for name, value in json.loads(row["details"]).items()}
    who = names.get(row["who"], row["who"])
    return {"row": row["sequence"], "time": row["event_time"], "who": who, "details": details} | {
        name: row[name] for name in ("what", "result")
    }


def _details(details: dict[str, Any]) -> str:
    shown = ", ".join(f"{name} {_short(value)}" for name, value in details.items() if value not in (None, ""))
    return short_digests(shown)


def _short(value: Any) -> str:
    """A value as a table shows it; a pair is what a setting was and what it is."""
    if isinstance(value, list) and len(value) == 2:  # noqa: PLR2004 - before and after
        before, after = value
        return f"{after}" if before is None else f"{before} -> {after}"
    return str(value)


def _lake() -> Any:
    from lake.settings import settings
    from lake.store import Lake

    return Lake.open(settings())
