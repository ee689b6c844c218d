"""The verbs of `quantlake lake` where a lake is empty, has lost its log, or is about to lose versions."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from dagster_project.commands.lake import app
from lake.care import pin
from lake.errors import NotReadyError
from lake.sources import tiny_market
from lake.store import Lake, delta_log
from lake.tables import BARS

Say = Callable[..., Result]


@pytest.fixture
def say(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setattr(Lake, "open", lambda: lake)
    monkeypatch.setenv("COLUMNS", "118")

    def run(*arguments: str, code: int = 0, answer: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=answer, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def bars(lake: Lake) -> Lake:
    for rows in tiny_market(["AAA"], sessions=4, seed=5).partition_by("event_time"):
        lake.merge(BARS, rows)
    return lake


def test_a_home_without_tables_is_not_called_whole(say: Say) -> None:
    with pytest.raises(NotReadyError, match="There is no table under"):
        say("doctor")


@pytest.mark.usefixtures("bars")
def test_one_table_is_whole(say: Say) -> None:
    assert "1 table is whole." in say("doctor").output


def test_a_table_whose_log_is_gone_is_found(say: Say, bars: Lake) -> None:
    shutil.rmtree(bars.path(BARS) / "_delta_log")
    assert "missing log" in say("doctor", code=1).output


def test_a_short_vacuum_asks_first_and_can_be_tried(say: Say, bars: Lake) -> None:
    bars.compact(BARS, at_least=2)
    before = {file for file in bars.root.rglob("*") if file.is_file()}
    say("vacuum", "--keep-days", "0", code=1, answer="n\n")
    assert "what would be" in say("vacuum", "--keep-days", "0", "--dry-run").output
    assert {file for file in bars.root.rglob("*") if file.is_file()} - {bars.root / ".pins.lock"} == before
    tried = json.loads(say("vacuum", "--keep-days", "0", "--dry-run", "--json").output)
    assert (tried[0]["files_deleted"], tried[0]["entries_deleted"]) == (4, 5)
    assert "nothing to delete, of 1 table" in say("vacuum").output
    done = json.loads(say("vacuum", "--keep-days", "0", "--yes", "--json").output)
    assert done == tried
    assert bars.read(BARS).height == 4


def test_versions_say_when_the_commit_was_made_and_name_holders_briefly(say: Say, bars: Lake) -> None:
    pin(bars, f"model:{'1f' * 32}", {"bars": 2})
    os.utime(delta_log.entry(bars.path(BARS), 2), (0, 0))
    listed = json.loads(say("versions", "bars", "--json").output)
    assert listed[2]["in_use_by"] == [f"model:{'1f' * 32}"]
    assert not listed[2]["committed_at"].startswith("1970")
    assert f"model:{'1f' * 6}\n" in say("versions", "bars").output.replace(" ", "")


def test_a_difference_shows_the_key_and_what_changed(say: Say, bars: Lake) -> None:
    row = bars.read(BARS).sort("event_time").tail(1)
    later = pl.col("known_time") + timedelta(days=9)
    bars.merge(BARS, row.with_columns(later, volume=pl.lit(1234567.891)))
    shown = say("diff", "4", "5", "bars").output
    table = shown[shown.index("1 row changed") :]
    assert f"{row['volume'][0]:.6g} -> 1.23457e+06" in " ".join(table.split())
    assert "volume" in table
    assert "close" not in table
    assert "more columns; --json gives them" in say("diff", "1", "2", "bars").output
    with pytest.raises(NotReadyError, match="has versions 0 to 5"):
        say("diff", "--", "-1", "1", "bars")
