"""Commands of `quantlake features`: declared features, their newest values, coverage, and the check of the tables."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from dagster_project.commands.shell import console
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from datetime import datetime

    from feature_repo.coverage import RecentValues
    from lake.store import Lake

app = typer.Typer(help="Features: what is declared, newest values, coverage, contract.", no_args_is_help=True)

Group = Annotated[str | None, typer.Option(help="One feature group, e.g. technical; all of them when left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of tables.")]


@app.command("list")
def list_features(group: Group = None, *, as_json: AsJson = False) -> None:
    """List every feature by group, with its unit, look-back and warm-up in bars."""
    from feature_repo.coverage import listing

    found = listing(group)
    if as_json:
        _print_json(found)
        return
    for name, rows in _by_group(found).items():
        served = ", served online" if rows[0]["online"] else ""
        columns = ("feature", "unit", "lookback", "warm_up")
        _print_table(
            f"{name}: {counted(len(rows), 'feature')}{served}", columns, ([row[c] for c in columns] for row in rows)
        )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a feature, e.g. rsi_14.")],
    *,
    symbols: Annotated[int, typer.Option(min=1, help="How many symbols to show values of.")] = 10,
    as_json: AsJson = False,
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
    if as_json:
        _print_json({**declared, "newest": [_plain(row) for row in values]})
        return
    _print_table(
        name, ("", ""), ((key.replace("_", " "), _text(value)) for key, value in declared.items()), is_headed=False
    )
    columns = ("symbol", "session", "newest", f"last {len(values[0].values)} sessions" if values else "")
    _print_table("Newest values", columns, ((v.symbol, _day(v.event_time), v.values[-1], v.sparkline) for v in values))
    if problem:
        console(soft_wrap=True).print(problem, highlight=False)


@app.command()
def coverage(
    group: Group = None,
    *,
    by: Annotated[str, typer.Option(help="year or symbol.")] = "year",
    as_json: AsJson = False,
) -> None:
    """Show in how many of the stored rows each feature is known, also by year or by symbol."""
    from feature_repo import coverage as features

    lake, now = _lake_and_now()
    found = features.coverage(lake, now, _year_or_symbol(by), group)
    if as_json:
        _print_json(found)
        return
    if not found:
        console(soft_wrap=True).print(
            f"No table of features is made yet under {lake.root}. Run `{lake.market.first_run}`.", highlight=False
        )
    for name, rows in _by_group(found).items():
        title = f"{name}: known in % of {counted(rows[0]['rows'], 'row')}"
        if by == "year":
            _print_years(title, rows)
        else:
            _print_table(title, ("feature", "all", "least", "of"), map(_least, rows))


@app.command()
def check(group: Group = None, *, as_json: AsJson = False) -> None:
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
    differences = [] if parity is None else [_plain(row) for row in parity.differences]
    if as_json:
        content = {"tables": [_plain(row) for row in kept], "parity": differences, "parity_skipped": skipped}
        _print_json(content)
    else:
        lines = ((row.table, f"{row.rows:,}", _day(row.last), "; ".join(row.problems) or "kept") for row in kept)
        _print_table("Declarations", ("table", "rows", "newest", "verdict"), lines)
        names = ("view", "feature", "mismatch", "missing", "extra")
        if differences:
            _print_table("Online, not as in the lake", names, ([row[name] for name in names] for row in differences))
        verdict = f"Online was not compared. {skipped}" if skipped else _verdict(parity)
        console(soft_wrap=True).print(verdict, highlight=False)
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
    fitting = max(1, (console(soft_wrap=True).width - taken) // len("2000   "))
    for first in range(0, len(years), fitting):
        shown = years[first : first + fitting]
        lines = ([r["feature"], _percent(r["share"]), *(_percent(r["by"][year]) for year in shown)] for r in rows)
        _print_table(title, ("feature", "all", *shown), lines)


def _least(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A feature, and the symbol of which least is known."""
    symbol, share = min(row["by"].items(), key=lambda pair: pair[1])
    return row["feature"], _percent(row["share"]), _percent(share), symbol


def _by_group(found: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in found:
        groups.setdefault(row["group"], []).append(row)
    return groups


def _print_table(title: str, columns: Sequence[str], rows: Iterable[Iterable[Any]], *, is_headed: bool = True) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="", show_edge=False)
    table.show_header = is_headed
    for index, column in enumerate(columns):
        right = is_headed and index > 0 and column not in {"verdict", "unit"}
        is_name = is_headed and column in {"feature", "table", "view", "symbol"}
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=is_name)
    for row in rows:
        table.add_row(*map(_text, row))
    if table.row_count:
        console(soft_wrap=True).print(table, highlight=False)


def _print_json(value: Any) -> None:
    console(soft_wrap=True).print_json(json.dumps(value, default=str))


def _plain(row: "RecentValues | Any") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(row)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _percent(share: float | None) -> str:
    """Whole percent; 100 only where nothing is missing, and 0 only where nothing is known."""
    if share is None:
        return ""
    return str(round(100 * share)) if share in {0, 1} else str(min(99, max(1, round(100 * share))))


def _day(at: "datetime | None") -> str:
    return "" if at is None else f"{at:%Y-%m-%d}"
