"""Commands of `quantlake features`: declared features, their newest values, coverage, and the check of the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    day_of,
    is_for_program,
    print_line,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from datetime import datetime

    from lake.store import Lake

app = typer.Typer(help="Features: what is declared, newest values, coverage, contract.", no_args_is_help=True)

Group = Annotated[str | None, typer.Option(help="One feature group, e.g. technical; all of them when left out.")]


@app.command("list")
def list_features(group: Group = None, *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List every feature by group, with its unit, look-back and warm-up in bars."""
    from feature_repo.coverage import listing

    found = listing(group)
    if is_for_program(found, DataTable.of_records(found), as_json=as_json, as_csv=as_csv):
        return
    columns = (
        ShownColumn("feature"),
        ShownColumn("unit", wraps=True),
        ShownColumn("lookback", rank=2),
        ShownColumn("warm_up", rank=1),
    )
    for name, rows in _by_group(found).items():
        served = ", served online" if rows[0]["online"] else ""
        read = sum(row["read_by_models"] for row in rows)
        models = f"models read {read}" if read else "no model reads them"
        console().print(DataTable.of(f"{name}: {counted(len(rows), 'feature')}{served}, {models}", columns, rows))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a feature, e.g. rsi_14.")],
    *,
    symbols: Annotated[int, typer.Option(min=1, help="How many symbols to show values of.")] = 10,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show a feature: formula, null rule, source, and its newest values."""
    from feature_repo.coverage import declaration, newest_values
    from lake.errors import NotReadyError

    declared = declaration(name)
    lake, now = _lake_and_now()
    problem, values = "", []
    try:
        values = newest_values(lake, name, now, symbols)
    except NotReadyError as error:
        problem = str(error)
    record = {**declared, "newest": [asdict(row) for row in values]}
    if is_for_program(record, DataTable.of_records([record]), as_json=as_json, as_csv=as_csv):
        return
    lines = ({"name": key.replace("_", " "), "value": value} for key, value in declared.items())
    console().print(DataTable.of(name, ("name", ShownColumn("value", wraps=True)), lines, is_headed=False))
    last = ShownColumn("sparkline", f"last {len(values[0].values)} sessions" if values else "", rank=1)
    columns = ("symbol", ShownColumn("session", shown=day_of), "newest", last)
    newest = ((each.symbol, each.event_time, each.values[-1], each.sparkline) for each in values)
    if values:
        console().print(DataTable.of_tuples("Newest values", columns, newest))
    if problem:
        print_line(problem)


@app.command()
def coverage(
    group: Group = None,
    *,
    by: Annotated[str, typer.Option(help="year or symbol.")] = "year",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show in how many of the stored rows each feature is known, also by year or by symbol."""
    from feature_repo import coverage as features

    lake, now = _lake_and_now()
    found = features.coverage(lake, now, _year_or_symbol(by), group)
    if is_for_program(found, DataTable.of_records(found), as_json=as_json, as_csv=as_csv):
        return
    for name, rows in _by_group(found).items():
        title = f"{name}: known in % of {counted(rows[0]['rows'], 'row')}"
        if by == "year":
            _print_years(title, rows)
        else:
            console().print(DataTable.of_tuples(title, ("feature", *SHARES, "of"), map(_least, rows)))


@app.command()
def check(group: Group = None, *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Hold the stored features to their declarations, and the online store to the lake; exit code 1 if one fails."""
    from feature_repo.coverage import check_stored_tables
    from feature_repo.online import compare_stores
    from lake.errors import NotReadyError, OnlineStoreError
    from lake.settings import settings

    lake, now = _lake_and_now()
    kept = check_stored_tables(lake, now, group)
    parity, skipped = None, ""
    try:
        parity = compare_stores(lake, settings())
    except (NotReadyError, OnlineStoreError) as error:
        skipped = str(error)
    differences = [] if parity is None else [asdict(row) for row in parity.differences]
    content = {"tables": [asdict(row) for row in kept], "parity": differences, "parity_skipped": skipped}
    lines = ((row.table, row.rows, row.last, "; ".join(row.problems) or "kept") for row in kept)
    columns = ("table", "rows", ShownColumn("newest", shown=day_of, rank=1), ShownColumn("verdict", wraps=True))
    declarations = DataTable.of_tuples("Declarations", columns, lines)
    if not is_for_program(content, declarations, as_json=as_json, as_csv=as_csv):
        console().print(declarations)
        names = ("view", "feature", "mismatch", "missing", "extra")
        if differences:
            console().print(DataTable.of("Online, not as in the lake", names, differences))
        print_line(f"Online was not compared. {skipped}" if skipped else _verdict(parity))
    if differences or any(row.problems for row in kept):
        raise typer.Exit(1)


def _verdict(parity: Any) -> str:
    counted = f"{sum(parity.values.values()):,} values of {sum(parity.rows.values()):,} rows"
    return f"Online and lake agree in every bit of {counted}." if parity.is_equal else f"Compared were {counted}."


def _lake_and_now() -> "tuple[Lake, datetime]":
    from lake.settings import settings
    from lake.store import Lake

    return Lake.open(), settings().clock.now()


def _year_or_symbol(by: str) -> Literal["year", "symbol"]:
    from lake.errors import UnknownNameError

    if by == "year":
        return "year"
    if by == "symbol":
        return "symbol"
    raise UnknownNameError("way to divide the rows", by, ["year", "symbol"])


def _print_years(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print as many years side by side as there is room for, the others below."""
    years = list(rows[0]["by"])
    taken = max(len(row["feature"]) for row in rows) + len("   all   ")
    fitting = max(1, (console().width - taken) // len("2000   "))
    for first in range(0, len(years), fitting):
        shown = years[first : first + fitting]
        lines = ([r["feature"], r["share"], *(r["by"][year] for year in shown)] for r in rows)
        columns = (ShownColumn(year, shown=_percent) for year in shown)
        console().print(DataTable.of_tuples(title, ("feature", SHARES[0], *columns), lines))


def _least(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A feature, and the symbol of which least is known."""
    symbol, share = min(row["by"].items(), key=lambda pair: pair[1])
    return row["feature"], row["share"], share, symbol


def _by_group(found: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in found:
        groups.setdefault(row["group"], []).append(row)
    return groups


def _percent(share: float) -> str:
    """Whole percent; 100 only where nothing is missing, and 0 only where nothing is known."""
    return str(round(100 * share)) if share in {0, 1} else str(min(99, max(1, round(100 * share))))


SHARES = (ShownColumn("all", shown=_percent), ShownColumn("least", shown=_percent))
"""Columns of shares of rows in which a feature is known."""
