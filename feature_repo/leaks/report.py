"""What the checks found, by column, as a table for people and as plain values for machines."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from feature_repo.leaks.comparing import Leak

if TYPE_CHECKING:
    from rich.table import Table

SAID = {
    "replayed": "replayed bar by bar, its value then is another",
    "cut off": "changes when the future is cut off",
    "disturbed": "changes when the future is another",
    "thinned out": "changes when the future has fewer bars",
    "restated": "claims to be known before the bar it uses was",
    "rescaled": "changes when a later split rescales the past",
    "warmed up": "needs a longer history than declared",
    "replayed on real bars": "on real bars, replayed, its value then is another",
    "cut off on real bars": "on real bars, changes when the future is cut off",
    "disturbed on real bars": "on real bars, changes when the future is another",
    "called again": "is another when called again: state is kept between calls",
    "stored": "the stored row is not what was known then",
}

NEIGHBOURS = '. It also depends on the order or the names of the symbols: is .over("symbol") missing?'


@dataclass(frozen=True)
class LeakCheck:
    """What was checked of one subject, and what was found.

    Parameters
    ----------
    columns
        Columns that were checked.
    rows
        Rows of the whole frame.
    replayed
        Instants at which it was computed anew from what was known then.
    leaks
        In the order of the checks; a column may have several.
    depend_on_order
        Leaking columns whose values are others when the symbols exchange their names: they may read a neighbour's bars.
    """

    kind: str
    name: str
    columns: tuple[str, ...]
    rows: int
    replayed: int
    leaks: tuple[Leak, ...]
    seconds: float
    depend_on_order: frozenset[str] = frozenset()

    @property
    def leaking(self) -> dict[str, list[Leak]]:
        """The leaks by column."""
        by_column: dict[str, list[Leak]] = {}
        for leak in self.leaks:
            by_column.setdefault(leak.column, []).append(leak)
        return by_column

    @property
    def passed(self) -> bool:
        """Whether nothing leaks."""
        return not self.leaks


def as_values(checked: Iterable[LeakCheck]) -> list[dict[str, Any]]:
    """Return one plain dict per column, for JSON and for metadata; times as ISO text."""
    rows = []
    for subject in checked:
        found = subject.leaking
        for column in (*subject.columns, *(name for name in found if name not in subject.columns)):
            leaks = found.get(column, [])
            rows.append(
                {
                    "kind": subject.kind,
                    "subject": subject.name,
                    "column": column,
                    "passed": not leaks,
                    "leaks": [_leak(leak) for leak in leaks],
                    "depends_on_order": column in subject.depend_on_order,
                    "seconds": round(subject.seconds, 3),
                }
            )
    return rows


def _leak(leak: Leak) -> dict[str, Any]:
    return {
        "how": leak.how,
        "first": _plain(leak.first),
        "rows": leak.rows,
        "example": {name: _plain(value) for name, value in leak.example.items()},
    }


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def as_table(checked: Iterable[LeakCheck], title: str) -> "Table":
    """Return a table with a line per subject, and below it one per leaking column with its first offending row."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name, justify in (("what", "left"), ("columns", "right"), ("replayed", "right"), ("leaking", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # the literals widen to str in the tuple
    table.add_column("seconds", justify="right")
    table.add_column("first offending row")
    for subject in checked:
        found = subject.leaking
        table.add_row(
            f"{subject.kind} {subject.name}",
            str(len(subject.columns)),
            str(subject.replayed),
            str(len(found)),
            f"{subject.seconds:.1f}",
            "" if found else "-",
        )
        for column, leaks in found.items():
            hint = NEIGHBOURS if column in subject.depend_on_order else ""
            table.add_row(f"  {column}", "", "", "", "", _sentence(column, leaks[0]) + hint, style="red")
    return table


def _sentence(column: str, leak: Leak) -> str:
    """Say how a column leaks, with the key of the first row, what it was then and what it became."""
    values = {
        name: value for name, value in leak.example.items() if name not in {column, f"{column}_other", "is_there"}
    }
    where = " ".join(f"{value:%Y-%m-%d}" if isinstance(value, datetime) else str(value) for value in values.values())
    now, then = (_short(leak.example.get(name)) for name in (column, f"{column}_other"))
    return f"{where}: {SAID.get(leak.how, leak.how)} ({now}, else {then}; {leak.rows} rows)"


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
