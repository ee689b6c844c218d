"""What a verb prints for a program: one JSON document, or CSV with a header line."""

import csv
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from functools import singledispatch
from typing import Annotated, Any

import typer

from dagster_project.commands.shell.console import console
from dagster_project.commands.shell.tables import DataTable
from lake.errors import ConfigError


def _only_one(context: typer.Context, given: bool) -> bool:
    """Refuse the second of two formats while the command line is read, before anything is done."""
    before = context.params.get("as_json", False) or context.params.get("as_csv", False)
    _require_one_format(as_json=before, as_csv=given)
    return given


AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON document: numbers as numbers, times in ISO 8601, null for null.",
        callback=_only_one,
    ),
]
AsCsv = Annotated[
    bool,
    typer.Option("--csv", help="Print the table as CSV with a header line; the first of several.", callback=_only_one),
]


def is_for_program(document: Any, table: DataTable, *, as_json: bool, as_csv: bool) -> bool:
    """Print JSON or CSV where one is asked for, and return whether it was.

    Parameters
    ----------
    document
        What JSON holds; the rows of the table where it is None.
    table
        What CSV holds.

    Raises
    ------
    ConfigError
        If both are asked for.
    """
    _require_one_format(as_json=as_json, as_csv=as_csv)
    if as_json:
        print_json(table.records() if document is None else document)
    if as_csv:
        print_csv([column.name for column in table.columns], (row.values() for row in table.records()))
    return as_json or as_csv


def _require_one_format(*, as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise ConfigError("Both --json and --csv are given, and a verb prints one of them. Leave one out.")


def print_json(document: Any) -> None:
    """Print one JSON document, coloured on a terminal."""
    text = json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False)
    if sys.stdout.isatty():
        console().print_json(text)
    else:
        sys.stdout.write(f"{text}\n")


def print_csv(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print CSV: a header line, an empty cell for null, JSON in cells that hold several values."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_csv_cell(plain(value)) for value in row])


@singledispatch
def plain(value: Any) -> Any:
    """Return a value as JSON knows it: times as ISO 8601, other objects as text, NaN and infinities as null.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> plain({"at": datetime(2012, 12, 31, 21, tzinfo=UTC), "loss": float("nan"), "rows": (1, None)})
    {'at': '2012-12-31T21:00:00+00:00', 'loss': None, 'rows': [1, None]}
    """
    return plain(asdict(value)) if is_dataclass(value) and not isinstance(value, type) else str(value)


@plain.register(bool | int | str | None)
def _(value: Any) -> Any:
    return value


@plain.register(float | Decimal)
def _(value: float | Decimal) -> float | None:
    return float(value) if math.isfinite(value) else None


@plain.register(date | time)
def _(value: date | time) -> str:
    return value.isoformat()


@plain.register
def _(value: timedelta) -> float:
    return value.total_seconds()


@plain.register
def _(value: Mapping) -> dict[str, Any]:
    return {str(name): plain(each) for name, each in value.items()}


@plain.register(list | tuple)
def _(value: Sequence[Any]) -> list[Any]:
    return [plain(each) for each in value]


@plain.register(set | frozenset)
def _(value: Iterable[Any]) -> list[Any]:
    return [plain(each) for each in sorted(value)]


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value
