"""Who belongs to a market, as a table and as values: `quantlake market symbols`."""

from typing import TYPE_CHECKING, Any

from dagster_project.commands.shell import DataTable, ShownColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.membership import RosterEntry
    from lake.names import NameSpan


def roster_table(roster: "Sequence[RosterEntry]", index: str) -> DataTable:
    """A line per symbol; other names and what happened to it in words."""
    columns = (
        ShownColumn("symbol"),
        ShownColumn("first_bar", rank=2),
        ShownColumn("last_bar", rank=1),
        ShownColumn("member"),
        ShownColumn("notes", "other names, and what happened", wraps=True),
    )
    lines = []
    for entry in roster:
        state = "index" if entry.symbol == index else "yes" if entry.is_member else "no"
        left = () if entry.is_member else (_left(entry),)
        notes = "; ".join((*left, *(_other_name(span) for span in entry.other_names)))
        lines.append((entry.symbol, entry.first_bar, entry.last_bar, state, notes))
    return DataTable.of_tuples("", columns, lines)


def roster_row(entry: "RosterEntry", index: str) -> dict[str, Any]:
    """A symbol of a market as values: first and last bar, whether it belongs to it, its other names."""
    names = [
        {"name": span.name, "from": span.valid_from, "until": span.valid_until, "reason": span.reason}
        for span in entry.other_names
    ]
    return {
        "symbol": entry.symbol,
        "is_member": entry.is_member,
        "is_index": entry.symbol == index,
        "first_bar": entry.first_bar,
        "last_bar": entry.last_bar,
        "ended": entry.ended,
        "reason": entry.reason,
        "other_names": names,
    }


def _left(entry: "RosterEntry") -> str:
    what = {"coverage_ended": "coverage ended", "removed": "removed", "renamed": "renamed"}
    return f"{what.get(entry.reason, 'no')} {entry.ended}" if entry.ended else "not listed"


def _other_name(span: "NameSpan") -> str:
    return f"{span.name} until {span.valid_until}" if span.valid_until else f"{span.name} since {span.valid_from}"
