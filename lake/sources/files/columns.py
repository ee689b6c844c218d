"""Which columns a file has and whether it is long or wide, from names and cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lake.errors import SourceError, UnknownNameError
from lake.names import canonical_symbol
from lake.sources.files.dates import find_date_format
from lake.sources.files.headers import find_columns
from lake.sources.files.mapping import NUMBERS, PRICES
from lake.sources.files.proposal import FieldChoice

COLUMN_FIELDS = ("symbol", "time", *NUMBERS)
SAMPLE = 5_000
MOST = 0.5
NUMBER = r"^[-+]?[\d.,' \u00a0\u2009\u202f]*\d[\d.,]*$"


@dataclass(frozen=True)
class FoundColumns:
    """Layout of a file and its column per field, with the evidence."""

    layout: str
    columns: dict[str, str]
    only_symbol: str | None
    choices: tuple[FieldChoice, ...]


def sample_of(column: pl.Series) -> pl.Series:
    """Return some distinct texts of a column from its whole length, trimmed, none of them empty."""
    texts = column.drop_nulls().str.strip_chars()
    distinct = texts.filter(texts != "").unique(maintain_order=True)
    return distinct.gather_every(1 + len(distinct) // SAMPLE)


def find_layout(path: Path, cells: pl.DataFrame, given: Mapping[str, Any]) -> FoundColumns:
    """Return the layout and the columns of a file.

    Parameters
    ----------
    given
        Fields that are settled already; a column of None is one that the file does not have.

    Raises
    ------
    SourceError
        If no column holds dates, or none holds closes.
    UnknownNameError
        If a given column is not there.
    """
    named = {field: given[field] for field in COLUMN_FIELDS if given.get(field) is not None}
    for column in named.values():
        if column not in cells.columns:
            raise UnknownNameError("column", column, cells.columns)
    free = [name for name in cells.columns if name not in named.values()]
    found = {field: name for field, name in find_columns(free).items() if field not in given}
    if "symbol" in found and _is_prices(cells[found["symbol"]]):
        del found["symbol"]
    time = named.get("time") or _time_column(path, cells, found, [*named.values()])
    found = {field: name for field, name in found.items() if name != time and _has_cells(cells[name])}
    found |= named | {"time": time}
    layout = given.get("layout") or _layout(cells, found, time)
    if layout == "wide":
        evidence = f"besides '{time}' there is a column per symbol: {', '.join(_others(cells, time)[:3])}"
        choices = (FieldChoice("layout", "wide", evidence), FieldChoice("time", time, "its cells are dates"))
        return FoundColumns("wide", {"time": time}, None, choices)
    if not {"close", "adj_close"} & found.keys():
        raise SourceError(
            f"No column of {path.name} is known for closes among {', '.join(cells.columns[:12])}. "
            "Name it, e.g. close=Price, or say layout=wide if there is a column per symbol."
        )
    return _long(path, found, given)


def _long(path: Path, found: dict[str, str], given: Mapping[str, Any]) -> FoundColumns:
    choices = [FieldChoice("layout", "long", "each price has its own column, so a row is one bar")]
    choices += [
        FieldChoice(field, found[field], "given" if field in given else f"the column is named '{found[field]}'")
        for field in COLUMN_FIELDS
        if field in found
    ]
    only_symbol = given.get("only_symbol")
    if "symbol" not in found:
        if only_symbol is None:
            only_symbol = canonical_symbol(path.name.partition(".")[0]) or "UNNAMED"
            evidence = "no column names symbols, so the file holds one, called as the file"
            choices.append(FieldChoice("only_symbol", only_symbol, evidence, is_assumed=True))
        else:
            choices.append(FieldChoice("only_symbol", only_symbol, "given"))
    return FoundColumns("long", found, only_symbol, tuple(choices))


def _time_column(path: Path, cells: pl.DataFrame, found: Mapping[str, str], taken: Sequence[str]) -> str:
    known = [found["time"]] if "time" in found else []
    others = [name for name in cells.columns if name not in {*found.values(), *taken}]
    for name in [*known, *others]:
        if find_date_format(sample_of(cells[name])) is not None:
            return name
    first = known or list(cells.columns)
    example = sample_of(cells[first[0]])
    raise SourceError(
        f"No column of {path.name} holds dates; '{first[0]}' begins with '{example[0] if len(example) else ''}'. "
        "Name the column and how it is written, e.g. time=Day and time_format=%d/%m/%Y."
    )


def _layout(cells: pl.DataFrame, found: Mapping[str, str], time: str) -> str:
    if "symbol" in found:
        return "long"
    prices = [found[name] for name in NUMBERS if name in found]
    strangers = [name for name in _others(cells, time) if name not in prices and _is_numbers(cells[name])]
    has_closes = any(name in found for name in PRICES)
    return "long" if has_closes and len(prices) > len(strangers) else "wide" if strangers else "long"


def _others(cells: pl.DataFrame, time: str) -> list[str]:
    return [name for name in cells.columns if name != time]


def _has_cells(column: pl.Series) -> bool:
    return bool((column.str.strip_chars() != "").any())


def _is_numbers(column: pl.Series) -> bool:
    texts = sample_of(column.gather_every(1 + len(column) // SAMPLE))
    return len(texts) > 0 and bool(texts.str.contains(NUMBER).mean() > MOST)  # type: ignore[operator]  # a share


def _is_prices(column: pl.Series) -> bool:
    """Whether the cells are numbers with decimals, which no code of an instrument is."""
    texts = sample_of(column.gather_every(1 + len(column) // SAMPLE))
    return _is_numbers(column) and bool(texts.str.contains(r"\d[.,]\d").mean() > MOST)  # type: ignore[operator]  # a share
