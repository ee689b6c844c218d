"""The table of the commands: values as a program wants them, and how each column is shown to a person.

One `DataTable` is printed as text that fits the terminal, as JSON or as CSV (`dagster_project.commands.shell.output`).
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

GAP = 2
"""Blanks between two columns."""
LONG_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]+\b")


@dataclass(frozen=True)
class ShownColumn:
    """One column of a table.

    Parameters
    ----------
    name
        Key of its values in the rows: the member of JSON and the heading of CSV.
    heading
        What a person reads; the name with blanks when left out.
    shown
        Value to text; by default `text_of`. It is not asked for null, which is shown as `-`.
    wraps
        Whether its cells may go over several lines, between words. Any other cell stays in one piece, so that ids,
        symbols and paths can be copied.
    rank
        0 where the column is always shown; in a narrow terminal those of the highest rank are left out first.
    """

    name: str
    heading: str = ""
    shown: Callable[[Any], str] | None = None
    wraps: bool = False
    rank: int = 0

    @property
    def title(self) -> str:
        """The heading that a person reads."""
        return self.heading or self.name.replace("_", " ")

    def cell(self, value: Any) -> str:
        """Return a value as a person reads it."""
        if value is None:
            return "-"
        return text_of(value) if self.shown is None else self.shown(value)


@dataclass(frozen=True)
class DataTable:
    """A titled table of machine values.

    Printed by rich it takes the width it is given: prose wraps between words, columns of a high rank are left out, and
    where even that is too wide each row becomes a block of lines. No cell is cut.

    Parameters
    ----------
    title
        Printed above it; none when empty.
    columns
        From left to right; a name stands for `ShownColumn(name)`.
    rows
        Values by name of the column. Columns of numbers are right-aligned.
    is_headed
        Whether it has headings; a record of names and values has none.

    Examples
    --------
    >>> bars = [{"symbol": "AAPL", "rows": 1258, "note": "since 2008"}, {"symbol": "GE", "rows": 9, "note": "new"}]
    >>> table = DataTable.of("Bars", ("symbol", "rows", ShownColumn("note", rank=1)), bars)
    >>> for line in table.lines(40):
    ...     print(line.rstrip())
    Bars
    symbol   rows  note
    ─────────────────────────
    AAPL    1,258  since 2008
    GE          9  new
    >>> for line in table.lines(16):
    ...     print(line.rstrip())
    Bars
    symbol   rows
    ─────────────
    AAPL    1,258
    GE          9
    1 column hidden:
    note. --json has
    all.
    """

    title: str
    columns: tuple[ShownColumn, ...]
    rows: tuple[Mapping[str, Any], ...]
    is_headed: bool = True

    @classmethod
    def of(
        cls,
        title: str,
        columns: Iterable[ShownColumn | str],
        rows: Iterable[Mapping[str, Any]],
        *,
        is_headed: bool = True,
    ) -> "DataTable":
        """Return a table whose columns may be given by name."""
        made = tuple(ShownColumn(each) if isinstance(each, str) else each for each in columns)
        return cls(title, made, tuple(rows), is_headed)

    @classmethod
    def of_tuples(cls, title: str, columns: Iterable[ShownColumn | str], rows: Iterable[Sequence[Any]]) -> "DataTable":
        """Return a table of rows whose values are in the order of the columns."""
        made = tuple(ShownColumn(each) if isinstance(each, str) else each for each in columns)
        return cls(title, made, tuple({c.name: v for c, v in zip(made, row, strict=True)} for row in rows))

    @classmethod
    def of_records(cls, records: Sequence[Mapping[str, Any]], names: Iterable[str] = ()) -> "DataTable":
        """Return a table without a title: a column for each key of the first record, or these names for no record.

        Examples
        --------
        >>> DataTable.of_records([{"symbol": "GE", "rows": 9}]).records()
        [{'symbol': 'GE', 'rows': 9}]
        """
        return cls.of("", tuple(records[0]) if records else names, records)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows with every column, as values."""
        return [{column.name: row.get(column.name) for column in self.columns} for row in self.rows]

    def lines(self, width: int) -> list[str]:
        """Return the lines that a plain terminal of this width would show."""
        from io import StringIO

        from rich.console import Console

        out = StringIO()
        Console(file=out, width=width, force_terminal=False, color_system=None).print(self, highlight=False)
        return out.getvalue().splitlines()

    def __rich_console__(self, _console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Yield the title and the table as wide as the options allow."""
        if self.title:
            yield Text(self.title, style="bold", overflow="fold", no_wrap=False)
        if not self.rows:
            return
        shown, widths = self._layout(options.max_width)
        if widths is None:
            yield Text("\n".join(self.blocks()), overflow="fold", no_wrap=False)
            return
        yield self._grid(shown, widths)
        if hidden := [column.title for column in self.columns if column not in shown]:
            count = f"{len(hidden)} column{'s' * (len(hidden) > 1)} hidden: {', '.join(hidden)}. --json has all."
            yield Text(count, style="dim", overflow="fold", no_wrap=False)

    def _cells(self, column: ShownColumn) -> list[str]:
        return [column.cell(row.get(column.name)) for row in self.rows]

    def _layout(self, width: int) -> tuple[list[ShownColumn], list[int] | None]:
        """Columns that fit, and how wide each is; no widths where even those that always stay are too wide."""
        shown = list(self.columns)
        spans = {column.name: self._span(column) for column in shown}
        while _total(spans[column.name][0] for column in shown) > width:
            spare = [column for column in shown if column.rank]
            if not spare:
                return shown, None
            most = max(column.rank for column in spare)
            shown.remove([column for column in spare if column.rank == most][-1])
        return shown, _shared(width, [spans[column.name] for column in shown])

    def _span(self, column: ShownColumn) -> tuple[int, int]:
        """Least and greatest useful width of a column."""
        cells, heading = self._cells(column), column.title if self.is_headed else ""
        head = max(map(cell_len, heading.split()), default=0)
        most = max([cell_len(heading), *(cell_len(line) for cell in cells for line in cell.split("\n"))])
        pieces = (word for cell in cells for word in (cell.split() if column.wraps else cell.split("\n")))
        return max([head, 1, *map(cell_len, pieces)]), max(most, 1)

    def _grid(self, shown: Sequence[ShownColumn], widths: Sequence[int]) -> Table:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="")
        table.show_header = self.is_headed
        for column, width in zip(shown, widths, strict=True):
            right = self.is_headed and _is_numeric(row.get(column.name) for row in self.rows)
            table.add_column(
                Text(column.title), justify="right" if right else "left", width=width, overflow="fold", no_wrap=False
            )
        for line in zip(*(self._cells(column) for column in shown), strict=True):
            table.add_row(*map(Text, line))
        return table

    def blocks(self) -> Iterator[str]:
        """Each row as lines of name and value, for a terminal that is too narrow for a table."""
        for row in self.rows:
            for column in self.columns:
                yield f"{column.title}: {column.cell(row.get(column.name))}"
            yield ""


@singledispatch
def text_of(value: Any) -> str:
    """Return a value as a person reads it: thousands with commas, six digits of a fraction, times in UTC.

    Examples
    --------
    >>> text_of(12345), text_of(0.1234567), text_of(True), text_of(["a", "b"]), text_of(None)
    ('12,345', '0.123457', 'yes', 'a, b', '-')
    """
    return str(value)


@text_of.register
def _(_value: None) -> str:
    return "-"


@text_of.register
def _(value: bool) -> str:
    return "yes" if value else "no"


@text_of.register
def _(value: int) -> str:
    return f"{value:,}"


@text_of.register
def _(value: float) -> str:
    return f"{value:.6g}"


@text_of.register
def _(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}"


@text_of.register
def _(value: Mapping) -> str:
    return ", ".join(f"{name} {text_of(each)}" for name, each in value.items())


@text_of.register(list | tuple)
def _(value: Sequence[Any]) -> str:
    return ", ".join(map(text_of, value))


def report_columns(names: Sequence[str], *, prose: Collection[str], kept: Collection[str]) -> list[ShownColumn]:
    """Return columns of which a narrow terminal leaves out the last first.

    Parameters
    ----------
    prose
        Names of those that wrap between words; they are always shown.
    kept
        Names of others that are always shown.
    """
    return [
        ShownColumn(name, wraps=name in prose, rank=0 if name in prose or name in kept else place)
        for place, name in enumerate(names)
    ]


def day_of(at: date) -> str:
    """Return the day of an instant."""
    return f"{at:%Y-%m-%d}"


def minute_of(at: datetime) -> str:
    """Return an instant to the minute."""
    return f"{at:%Y-%m-%d %H:%M}"


def short_digests(text: str) -> str:
    """Return a text with twelve digits of each digest, as many as tell files and rows apart.

    Examples
    --------
    >>> short_digests("file 0123456789abcdef0123 of lstm")
    'file 0123456789ab of lstm'
    """
    return LONG_DIGEST.sub(r"\1", text)


def fixed(digits: int) -> Callable[[float], str]:
    """Return how a number is shown with so many digits after the point."""
    return lambda value: f"{value:,.{digits}f}"


def percent(digits: int = 2) -> Callable[[float], str]:
    """Return how a fraction is shown in percent, without the sign."""
    return lambda value: f"{100 * value:.{digits}f}"


def _is_numeric(values: Iterable[Any]) -> bool:
    known = [value for value in values if value is not None and value != ""]
    return bool(known) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known)


def _total(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + GAP * (len(found) - 1)


def _shared(width: int, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Widths within the spans that take what there is, the narrowest of the columns that want more first."""
    widths = [least for least, _ in spans]
    spare = width - _total(widths)
    while spare > 0 and (wanting := [i for i, (_, most) in enumerate(spans) if widths[i] < most]):
        widths[min(wanting, key=lambda i: widths[i])] += 1
        spare -= 1
    return widths
