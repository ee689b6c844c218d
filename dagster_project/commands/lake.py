"""Commands of `quantlake lake`: examine and repair tables, list versions and changes, maintenance."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    is_for_program,
    print_line,
    report_columns,
    short_digests,
    taking_turn,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from lake.report import Report
    from lake.spec import TableSpec
    from lake.store import Lake

app = typer.Typer(help="Tables: whole or not, their versions, what changed, maintenance.", no_args_is_help=True)
MOST_ROWS = 20
MOST_COLUMNS = 8
KEPT_DAYS = 30.0
"""As `KEEP` of `lake.care.maintenance`, which costs an import that `--help` should not wait for."""
PROSE = {"meaning", "in_use_by", "metadata"}
"""Columns whose cells may go over several lines."""
KEPT = {"table", "kind", "file", "version", "committed_at"}
"""Columns that every terminal shows."""

TableName = Annotated[str, typer.Argument(help="Name of a table, e.g. bars.")]
AnyTable = Annotated[str | None, typer.Argument(help="Name of a table; every table when left out.")]
KeepDays = Annotated[float, typer.Option(min=0, help="Days for which a version that nobody uses stays readable.")]


@app.command()
def doctor(table: AnyTable = None, *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Name every torn, missing, empty or altered file of a table; the exit code is 1 if there is one."""
    from lake.care import examine
    from lake.errors import NotReadyError

    found = [(spec, examine(_lake(), spec)) for spec in _specs(table, even_without_log=True)]
    if not found:
        raise NotReadyError(
            f"There is no table under {_lake().root} yet. Run `{_lake().market.first_run}` first, or set "
            "QUANTLAKE_HOME."
        )
    values = [
        {"table": spec.name, "kind": finding.kind, "file": str(finding.path), "meaning": finding.meaning}
        for spec, findings in found
        for finding in findings
    ]
    whole = "1 table is whole." if len(found) == 1 else f"{len(found)} tables are whole."
    _show(values, "What is wrong", whole, as_json=as_json, as_csv=as_csv)
    if values:
        raise typer.Exit(1)


@app.command()
def repair(table: TableName, *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Go back to the last good version; damaged files are moved into .damaged, and what is lost is said."""
    from lake.care import repair as repair_table

    spec = _specs(table)[0]
    with taking_turn("lake repair"):
        done = repair_table(_lake(), spec)
    value = asdict(done) | {"table": spec.name}
    if is_for_program(value, DataTable.of_records([value]), as_json=as_json, as_csv=as_csv):
        return
    for finding in done.findings:
        print_line(f"{finding.kind}: {finding.path} ({finding.meaning})")
    for sentence in done.lost:
        print_line(f"Lost: {sentence}")
    if done.moved_to:
        print_line(f"What was taken away is in {done.moved_to}.")
    lost = "" if done.lost else ", nothing is lost"
    print_line(
        f"'{spec.name}' is whole at version {done.version}{lost}." if done.findings else f"'{spec.name}' was whole."
    )


@app.command()
def versions(table: TableName, *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the versions of a table, the newest first, and who uses them."""
    from lake.care import history

    values = [
        asdict(commit)
        | {"in_use_by": [finding if as_json or as_csv else short_digests(finding) for finding in commit.in_use_by]}
        for commit in history(_lake(), _specs(table)[0])
    ]
    _show(values, f"Versions of {table}", "", as_json=as_json, as_csv=as_csv)


@app.command()
def diff(
    before: Annotated[int, typer.Argument(help="Earlier version.")],
    after: Annotated[int, typer.Argument(help="Later version.")],
    table: TableName,
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the rows added, removed and changed between two versions of a table: quantlake lake diff 3 7 bars."""
    from lake.care import difference

    spec = _specs(table)[0]
    found = difference(_lake(), spec, before, after)
    kinds = {"added": found.added, "removed": found.removed, "changed": found.changed}
    if as_json or as_csv:
        records = {kind: rows.to_dicts() for kind, rows in kinds.items()}
        lines = ({"change": kind, **row} for kind, rows in records.items() for row in rows)
        is_for_program(records, DataTable.of("", ("change", *spec.names), lines), as_json=as_json, as_csv=as_csv)
        return
    for kind, rows in kinds.items():
        print_line(f"{counted(rows.height, 'row')} {kind}")
        if rows.height:
            shown = rows.head(MOST_ROWS)
            old = (found.replaced if kind == "changed" else rows).head(MOST_ROWS)
            console().print(_compared(spec, old.to_dicts(), shown.to_dicts()))
        if rows.height > MOST_ROWS:
            print_line(f"... and {rows.height - MOST_ROWS} more; --json gives all of them.")


@app.command()
def compact(
    table: AnyTable = None,
    *,
    at_least: Annotated[int, typer.Option(min=2, help="Small files a year must have to be worth it.")] = 16,
    digests: Annotated[
        bool, typer.Option("--digests", help="Write only the files anew whose name carries no digest.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Join the small files of a table; rows and versions stay as they are."""
    with taking_turn("lake compact"):
        done = [_lake().compact(spec, at_least=at_least, is_for_digests=digests) for spec in _specs(table)]
    _reports(done, as_json=as_json, as_csv=as_csv)


@app.command()
def vacuum(
    table: AnyTable = None,
    *,
    keep_days: KeepDays = KEPT_DAYS,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting what is younger than usual.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Delete files and log entries that no version in use needs, and none younger than --keep-days.

    Below 30 days it asks first, unless --yes is given; a program, with --json, is not asked.
    """
    if keep_days < KEPT_DAYS and not (yes or dry_run or as_json or as_csv):
        typer.confirm(
            f"Versions older than {keep_days:g} days that nobody pinned can then never be read again. Go on?",
            abort=True,
        )
    specs = _specs(table)
    with taking_turn("lake vacuum"):
        done = _vacuum(specs, timedelta(days=keep_days), dry_run=dry_run)
    changed = [
        finding
        for finding in done
        if finding.warnings or finding.details["files_deleted"] or finding.details["entries_deleted"]
    ]
    if dry_run and not (as_json or as_csv):
        print_line("Nothing is deleted; this is what would be.")
    nothing = (
        f"Maintenance: nothing to delete, of {counted(len(specs), 'table')}." if specs else "There is no table yet."
    )
    _reports(done if as_json or as_csv else changed, nothing, as_json=as_json, as_csv=as_csv)


def _vacuum(specs: "list[TableSpec]", keep: timedelta, *, dry_run: bool) -> "list[Report]":
    """Clean the log of each table, then its files; the reports say what went."""
    from lake.care import clean_log
    from lake.care import vacuum as vacuum_files
    from lake.settings import settings
    from serving.forecast_log import drain

    if not dry_run:
        drain(_lake(), settings())  # forecasts that wait in the log name versions too
    done = []
    for spec in specs:
        log = clean_log(_lake(), spec, keep=keep, dry_run=dry_run)
        files = vacuum_files(_lake(), spec, keep=keep, dry_run=dry_run)
        done.append(files.with_details(**{name: log.details[name] for name in ("entries_deleted", "oldest_version")}))
    return done


def _compared(spec: "TableSpec", old: list[dict[str, Any]], new: list[dict[str, Any]]) -> DataTable:
    """Key and changed columns of rows side by side; of rows that did not change, the first columns."""
    rest = [name for name in spec.names if name not in spec.key]
    changed = [name for name in rest if any(a[name] != b[name] for a, b in zip(old, new, strict=True))]
    columns = [*spec.key, *(changed or rest[: max(0, MOST_COLUMNS - len(spec.key))])]
    left_out = 0 if changed else len(spec.names) - len(columns)
    title = f"Without {left_out} more columns; --json gives them." if left_out else ""
    rows = ([_change(a[name], b[name]) for name in columns] for a, b in zip(old, new, strict=True))
    shown = (
        ShownColumn(name, rank=0 if name in {*spec.key, *changed} else place) for place, name in enumerate(columns)
    )
    return DataTable.of_tuples(title, shown, rows)


def _change(old: object, new: object) -> str:
    before, after = (f"{each:.6g}" if isinstance(each, float) else str(each) for each in (old, new))
    return after if old == new else f"{before} -> {after}"


def _lake() -> "Lake":
    from lake.store import Lake

    return Lake.open()


def _specs(table: str | None, *, even_without_log: bool = False) -> "list[TableSpec]":
    """The table of that name, or every table there is; where it is asked, those whose log is gone as well."""
    from feature_repo.catalog import SPECS, spec_of
    from lake.store import data_files

    if table is not None:
        return [spec_of(table)]
    lake = _lake()
    return [spec for spec in SPECS if lake.exists(spec) or (even_without_log and data_files(lake.path(spec)))]


def _reports(reports: "list[Report]", nothing: str = "There is no table yet.", *, as_json: bool, as_csv: bool) -> None:
    values = [{"table": report.name, "version": report.version, **report.details} for report in reports]
    _show(values, "Maintenance", nothing, as_json=as_json, as_csv=as_csv)
    for warning in [warning for report in reports for warning in report.warnings] if not (as_json or as_csv) else ():
        print_line(warning)


def _show(values: list[dict[str, Any]], title: str, nothing: str, *, as_json: bool, as_csv: bool) -> None:
    names = list(dict.fromkeys(name for value in values for name in value))
    table = DataTable.of(title, report_columns(names, prose=PROSE, kept=KEPT), values)
    if is_for_program(values, table, as_json=as_json, as_csv=as_csv):
        return
    if values:
        console().print(table)
    elif nothing:
        print_line(nothing)
