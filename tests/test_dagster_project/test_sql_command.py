"""`quantlake sql`: a query as text, in a file, by a pipe or at the prompt; as known at a day; every column in reach."""

import csv
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from dagster_project.commands.sql import Prompt
from lake.errors import ConfigError
from lake.settings import Settings, settings
from lake.sources import tiny_market
from lake.sql import connect
from lake.store import Lake
from lake.tables import BARS


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """Two symbols over 60 sessions."""
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    settings.cache_clear()
    made = Lake.open(Settings(home=tmp_path))
    made.merge(BARS, tiny_market(["AAA", "BBB"], sessions=60, seed=1))
    yield made
    settings.cache_clear()


def said(*arguments: str, typed: str | None = None) -> str:
    result = CliRunner().invoke(app, ["sql", *arguments], input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_first_rows_fit_the_terminal_and_what_is_left_out_is_said(lake: Lake) -> None:
    shown = said("from bars")
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80
    assert "First 40 rows; --rows shows more" in shown
    assert "hidden: " in shown
    assert "First" not in said("from bars", "--rows", "200")


def test_every_column_is_in_reach(lake: Lake) -> None:
    assert all(f"{name}: " in said("from bars limit 1", "--lines") for name in BARS.names)
    assert list(json.loads(said("from bars limit 1", "--json"))[0]) == BARS.names
    found = list(csv.DictReader(StringIO(said("from bars order by symbol, event_time", "--csv"))))
    assert (len(found), list(found[0])) == (120, BARS.names)
    first = lake.read(BARS).sort("symbol", "event_time").row(0, named=True)
    assert datetime.fromisoformat(found[0]["event_time"]) == first["event_time"]
    assert float(found[0]["close"]) == first["close"]


def test_all_tables_are_listed(lake: Lake) -> None:
    assert "bars" in said("show tables")


def test_at_a_day_is_what_was_known_by_its_end(lake: Lake) -> None:
    known = lake.read(BARS)["known_time"].sort()
    day = known[40].date()
    expected = lake.read(BARS).filter(pl.col("known_time").dt.date() <= day).height
    counted = "select count(*) as rows from bars"
    assert json.loads(said(counted, "--at", f"{day}", "--json")) == [{"rows": expected}]
    minute_before = f"{known[40] - timedelta(minutes=1):%Y-%m-%dT%H:%M}"
    assert json.loads(said(counted, "--at", minute_before, "--json"))[0]["rows"] < expected


def test_midnight_is_an_instant_and_not_the_end_of_its_day(lake: Lake) -> None:
    """A day is its end; what is written with a time of day is that instant, in UTC where it names no zone."""
    counted = "select count(*) as rows from bars"
    day = lake.read(BARS)["known_time"].max().date()
    before, whole = (
        json.loads(said(counted, "--at", at, "--json"))[0]["rows"] for at in (f"{day - timedelta(days=1)}", f"{day}")
    )
    assert before < whole
    for midnight in (f"{day}T00:00", f"{day}T00:00Z", f"{day}T02:00+02:00"):
        assert json.loads(said(counted, "--at", midnight, "--json")) == [{"rows": before}]


def test_a_query_may_lie_in_a_file_or_come_by_a_pipe(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "query.sql").write_text("select 1 + 1 as two", encoding="utf-8")
    assert json.loads(said("--file", str(tmp_path / "query.sql"), "--json")) == [{"two": 2}]
    assert json.loads(said("--json", typed="select 3 as three")) == [{"three": 3}]


def test_no_row_is_said_with_the_columns(lake: Lake) -> None:
    assert "No row; columns: symbol." in said("select symbol from bars where symbol = 'none'")


def test_the_prompt_answers_goes_on_after_a_mistake_and_keeps_its_history(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter([".tables", ".columns bars", "select count(*) as rows", "from bars;", "from bras;", ".rows 1",
                  "from bars;", ".quit"])  # fmt: skip
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    kept: list[Path] = []
    monkeypatch.setattr("atexit.register", lambda _, path: kept.append(path))
    with connect(lake=lake) as connection:
        Prompt(connection, tmp_path / "sql_history", 40, as_lines=False).run()
    shown = capsys.readouterr().out
    for part in (
        "bars",
        "event_time",
        "120",
        "ConfigError: The query cannot be answered",
        "First 1 row; --rows shows more",
    ):
        assert part in shown, part
    assert kept == [tmp_path / "sql_history"]
    assert next(lines, "left") == "left"


def test_two_queries_at_once_are_refused(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Leave one out"):
        CliRunner().invoke(app, ["sql", "from bars", "--file", "x.sql"], catch_exceptions=False)
