"""The table of the commands: it fits any width, cuts nothing, and says what it leaves out; every verb prints values."""

import csv
import json
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.cli import app
from dagster_project.commands.shell import DataTable, ShownColumn, is_for_program, plain
from lake.errors import ConfigError

KEY = "0f3c9d1e-7a52-4d0b-9c53-1f7f3a0e11aa"
ROWS = [
    {
        "id": KEY,
        "rows": 1_234_567,
        "note": "a longer remark about this row",
        "at": datetime(2012, 12, 31, 21, tzinfo=UTC),
    },
    {"id": "b", "rows": None, "note": None, "at": None},
]
COLUMNS = (ShownColumn("id"), ShownColumn("rows"), ShownColumn("note", wraps=True, rank=1), ShownColumn("at", rank=2))
SENTENCES = {
    "serve", "dashboard", "ui", "mlflow", "lab",  # servers
    "keys revoke", "keys rotate", "models promote", "models shadow", "models canary", "models rollback",
    "models restore", "market new", "market release",
    "forecasts withdraw", "forecasts quarantine release", "forecasts quarantine withdraw", "backup restore",
    "backup prune", "user-data delete",
    "forecasts quarantine show", "user-data export",  # JSON always
    "words", "recommend",  # sentences, or JSON
    "alerts ack", "alerts deliver", "alerts test", "desk start", "desk halt", "desk resume",
}  # fmt: skip
"""Verbs that print sentences about what they did, and no table or record that a program would read."""


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_a_table_fits_and_cuts_nothing_that_must_be_copied(width: int) -> None:
    lines = DataTable.of("Rows", COLUMNS, ROWS).lines(width)
    assert max(len(line.rstrip()) for line in lines) <= width
    assert KEY in "".join(line.strip() for line in lines)


def test_columns_of_a_high_rank_go_first_and_the_table_says_so() -> None:
    table = DataTable.of("Rows", COLUMNS, ROWS)
    assert "at" in table.lines(120)[1]
    assert "hidden" not in " ".join(table.lines(120))
    narrow = table.lines(64)
    assert "1 column hidden: at. --json has all." in narrow
    assert "note" in narrow[1]
    assert "2 columns hidden: note, at. --json has all." in " ".join(table.lines(50))


def test_prose_takes_the_width_there_is_and_wraps_between_words() -> None:
    table = DataTable.of("", COLUMNS, ROWS)
    assert any("a longer remark about this row" in line for line in table.lines(120))
    assert not any("remark about this row" in line for line in table.lines(70))
    assert "remark" in " ".join(table.lines(70))


def test_numbers_are_right_aligned_and_null_is_a_dash() -> None:
    lines = DataTable.of("", ("name", "rows"), [{"name": "a", "rows": 5}, {"name": "b", "rows": None}]).lines(40)
    assert [line.rstrip()[-1] for line in lines] == ["s", "─", "5", "-"]
    assert lines[2].index("5") == lines[0].index("rows") + 3


@given(
    st.lists(
        st.fixed_dictionaries({name: st.text("ab é\t\n[]/", max_size=30) | st.integers() for name in ("x", "y", "z")}),
        min_size=1,
        max_size=4,
    ),
    st.integers(8, 100),
)
def test_any_cells_fit_any_width(rows: list[dict[str, Any]], width: int) -> None:
    columns = (ShownColumn("x"), ShownColumn("y", wraps=True, rank=1), ShownColumn("z", rank=2))
    assert max(map(len, DataTable.of("", columns, rows).lines(width)), default=0) <= width


def test_values_for_a_program_keep_their_types(capsys: pytest.CaptureFixture[str]) -> None:
    table = DataTable.of("", COLUMNS, ROWS)
    assert is_for_program(None, table, as_json=True, as_csv=False)
    assert json.loads(capsys.readouterr().out) == [
        {"id": KEY, "rows": 1234567, "note": ROWS[0]["note"], "at": "2012-12-31T21:00:00+00:00"},
        {"id": "b", "rows": None, "note": None, "at": None},
    ]
    assert is_for_program(None, table, as_json=False, as_csv=True)
    found = list(csv.DictReader(StringIO(capsys.readouterr().out)))
    assert found[0] == {"id": KEY, "rows": "1234567", "note": ROWS[0]["note"], "at": "2012-12-31T21:00:00+00:00"}
    assert found[1] == {"id": "b", "rows": "", "note": "", "at": ""}
    assert not is_for_program(None, table, as_json=False, as_csv=False)
    with pytest.raises(ConfigError, match="Leave one out"):
        is_for_program(None, table, as_json=True, as_csv=True)


def test_what_json_does_not_know_becomes_what_it_does() -> None:
    values = {"day": date(2012, 1, 3), "loss": float("inf"), "names": ("b", "a"), "kinds": {"b", "a"}, "flag": True}
    assert plain(values) == {
        "day": "2012-01-03", "loss": None, "names": ["b", "a"], "kinds": ["a", "b"], "flag": True
    }  # fmt: skip


def test_every_verb_that_prints_a_table_or_a_record_prints_json_and_csv() -> None:
    verbs = dict(verbs_of(typer.main.get_command(app)))
    without = {name for name, options in verbs.items() if not {"--json", "--csv"} <= options}
    assert without == SENTENCES


def verbs_of(command: Any, name: str = "") -> Any:
    """Yield each verb with its options."""
    for word, child in getattr(command, "commands", {}).items():
        yield from verbs_of(child, f"{name} {word}".strip())
    if not hasattr(command, "commands"):
        yield name, {option for parameter in command.params for option in parameter.opts}
