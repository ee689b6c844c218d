"""Commands of `quantlake forecasts`: drain and prune the forecast log, decide about forecasts in quarantine."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    is_for_program,
    print_json,
    print_line,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from lake.report import Report
    from lake.settings import Settings
    from lake.store import Lake
    from serving.forecast_log import QuarantinedForecast

app = typer.Typer(help="The forecast log: drain and prune it, and decide about rows that failed.", no_args_is_help=True)
held = typer.Typer(help="Forecasts that did not verify: list, show, release, withdraw.", no_args_is_help=True)
app.add_typer(held, name="quarantine")

Number = Annotated[
    int, typer.Argument(help="Number of the forecast, as `quantlake forecasts quarantine list` shows it.")
]
DECIDED = (
    ShownColumn("forecast_id"),
    ShownColumn("decision"),
    ShownColumn("at", rank=2),
    ShownColumn("who", wraps=True, rank=1),
    ShownColumn("reason", wraps=True),
)
WAITING = (
    ShownColumn("id"),
    ShownColumn("forecast_id"),
    ShownColumn("state"),
    ShownColumn("reason", wraps=True),
    *(ShownColumn(name, rank=4) for name in ("file", "sequence", "found_at", "decided_at", "decided_by", "note")),
)
Reason = Annotated[str, typer.Option(help="Why, for the audit trail.")]


@app.command()
def drain(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Bring what waits in the forecast log into the lake, and salvage damaged log files."""
    from serving.forecast_log import drain as bring_in

    lake, configured = _home()
    report = bring_in(lake, configured)
    reason = report.details.get("reason")
    sentence = (
        f"Nothing to bring in from the forecast log of {configured.home}: {reason}."
        if reason
        else (
            f"{counted(report.details['answers'], 'forecast')} read from the log: {report.added:,} new in the lake, "
            f"{report.details['quarantined']:,} in quarantine."
        )
    )
    _print_report(report, sentence, as_json=as_json, as_csv=as_csv)


@app.command()
def prune(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Delete from the forecast log what is in the lake for longer than QUANTLAKE_LOG_RETENTION_HOURS."""
    from serving.forecast_log import prune as make_small

    report = make_small(*_home())
    before, after = (report.details[f"bytes_{when}"] / 1e6 for when in ("before", "after"))
    again = report.details["waiting_again"]
    wait = f" {again:,} not in the lake, waiting for the next drain." if again else ""
    _print_report(
        report,
        f"{counted(report.rows, 'forecast')} deleted from the log: {before:,.1f} MB before, {after:,.1f} MB now.{wait}",
        as_json=as_json,
        as_csv=as_csv,
    )


@app.command()
def withdraw(
    forecast_id: Annotated[str, typer.Argument(help="Id of a forecast that is in the lake.")], *, reason: Reason
) -> None:
    """Take a forecast that reached the lake out of outcomes, selection and all else that is computed."""
    from serving.audit import console as who
    from serving.forecast_log import decisions

    decisions.withdraw(*_home(), forecast_id, by=who(), reason=reason)
    print_line(
        f"Forecast {forecast_id} is withdrawn: it stays in the tables, and nothing is computed from it any more."
    )


@app.command("decisions")
def show_decisions(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the forecasts that were withdrawn, or released without a seal that fits."""
    from serving.forecast_log import decisions

    found = [vars(entry) for entry in decisions.listing(_home()[0])]
    table = DataTable.of(counted(len(found), "decision"), DECIDED, found)
    if not is_for_program(found, table, as_json=as_json, as_csv=as_csv):
        console().print(table)


@held.command("list")
def show_list(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also decided ones.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the forecasts that wait for a decision."""
    from serving.forecast_log import quarantine

    found = [_plain(entry) for entry in quarantine.quarantined_forecasts(_home()[1], None if everything else "waiting")]
    table = DataTable.of(f"{counted(len(found), 'forecast')} in quarantine", WAITING, found)
    if not is_for_program(None, table, as_json=as_json, as_csv=as_csv):
        console().print(table)


@held.command()
def show(number: Number) -> None:
    """Show one with its texts as they were found, as JSON."""
    from serving.forecast_log import quarantine, verify_logged

    entry = quarantine.find(_home()[1], number)
    texts = {name: _shown(getattr(entry.logged, name)) for name in ("row", "answer", "receipt")}
    print_json(_plain(entry) | {"finding_now": verify_logged(entry.logged).fault} | texts)


@held.command()
def release(
    number: Number,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Although it does not verify; it is flagged for good.")
    ] = False,
    reason: Reason = "",
) -> None:
    """Verify one again and bring it into the lake; with --force and a reason also if it does not fit its seal."""
    from serving.audit import console as who
    from serving.forecast_log import decisions

    done = decisions.release(*_home(), number, by=who(), reason=reason, force=force)
    how = "it verifies" if done.is_verified else "unverified, and flagged as such: no replay counts it as proven"
    print_line(f"Forecast {done.forecast_id} is in the lake: {how}.")


@held.command("withdraw")
def close(number: Number, *, reason: Reason) -> None:
    """Decide that one never comes into the lake; its bytes stay in the quarantine."""
    from serving.audit import console as who
    from serving.forecast_log import decisions

    decisions.close(*_home(), number, by=who(), reason=reason)
    print_line(f"Forecast {number} of the quarantine is withdrawn: it never comes into the lake.")


def _home() -> "tuple[Lake, Settings]":
    from lake.settings import settings
    from lake.store import Lake

    return Lake.open(settings()), settings()


def _plain(entry: "QuarantinedForecast") -> dict[str, Any]:
    return {
        "id": entry.id,
        "file": entry.file,
        "sequence": entry.logged.sequence,
        "forecast_id": _shown(entry.logged.forecast_id),
        "state": entry.state,
        "reason": entry.reason,
        "found_at": entry.found_at,
        "decided_at": entry.decided_at,
        "decided_by": entry.decided_by,
        "note": entry.note,
    }


def _shown(text: str | None) -> str | None:
    """A text with bytes that are no UTF-8 written as escapes."""
    return None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _print_report(report: "Report", sentence: str, *, as_json: bool, as_csv: bool) -> None:
    record = {"table": report.name, "rows": report.rows, "added": report.added, "sentence": sentence}
    record |= {"warnings": report.warnings, **report.details}
    if is_for_program(record, DataTable.of_records([record]), as_json=as_json, as_csv=as_csv):
        return
    for line in (sentence, *report.warnings):
        print_line(line)
