"""What the checks found, by column, as lines for people and as plain values for machines."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feature_repo.leaks.comparing import Leak

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

MIXED = (
    'mixes symbols: without .over("symbol") its first rows of a symbol read the bars of the symbol before it. Computed '
    "symbol by symbol it sees nothing ahead"
)
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
    mixing
        Those of them that are wrong for this reason alone, and look ahead in no other way.
    """

    kind: str
    name: str
    columns: tuple[str, ...]
    rows: int
    replayed: int
    leaks: tuple[Leak, ...]
    seconds: float
    depend_on_order: frozenset[str] = frozenset()
    mixing: frozenset[str] = frozenset()

    @property
    def leaking(self) -> dict[str, list[Leak]]:
        """The leaks by column."""
        by_column: dict[str, list[Leak]] = {}
        for leak in self.leaks:
            by_column.setdefault(leak.column, []).append(leak)
        return by_column

    @property
    def passed(self) -> bool:
        """Whether nothing leaks and nothing mixes symbols."""
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
                    "mixes_symbols": column in subject.mixing,
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


def as_lines(checked: Iterable[LeakCheck]) -> list[dict[str, Any]]:
    """Return a line per subject, and below it one per wrong column with what is wrong with it and its first row.

    Returns
    -------
    list of dict
        ``what``, ``columns``, ``replayed`` (instants), ``leaking`` (columns), ``seconds`` and ``finding``; of a column
        only ``what`` and ``finding``.
    """
    lines: list[dict[str, Any]] = []
    for subject in checked:
        found = subject.leaking
        lines.append(
            {
                "what": f"{subject.kind} {subject.name}",
                "columns": len(subject.columns),
                "replayed": subject.replayed,
                "leaking": len(found) - len(subject.mixing),
                "seconds": subject.seconds,
                "finding": "" if found else "-",
            }
        )
        lines += [{"what": f"  {column}", "finding": _finding(subject, column)} for column in found]
    return lines


def _finding(subject: LeakCheck, column: str) -> str:
    """Say what is wrong with a column, and in which row first."""
    leak = subject.leaking[column][0]
    if column in subject.mixing:
        return f"{_where(column, leak)}: {MIXED} ({_values(column, leak)})"
    hint = NEIGHBOURS if column in subject.depend_on_order else ""
    return f"{_where(column, leak)}: {SAID.get(leak.how, leak.how)} ({_values(column, leak)}){hint}"


def _where(column: str, leak: Leak) -> str:
    """Key of the first wrong row."""
    values = {
        name: value for name, value in leak.example.items() if name not in {column, f"{column}_other", "is_there"}
    }
    return " ".join(f"{value:%Y-%m-%d}" if isinstance(value, datetime) else str(value) for value in values.values())


def _values(column: str, leak: Leak) -> str:
    """What the first wrong row has now and what it had then, and how many there are."""
    now, then = (_short(leak.example.get(name)) for name in (column, f"{column}_other"))
    return f"{now}, else {then}; {leak.rows} rows"


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
