"""The verbs of `quantlake lake`, on a table that is whole, then broken, then repaired."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from dagster_project.commands.lake import app
from lake.care import pin
from lake.errors import UnknownNameError
from lake.sources import tiny_market
from lake.store import Lake, delta_log
from lake.tables import BARS, QUARANTINE

MARKET = tiny_market(["AAA", "BBB"], sessions=6, seed=5)
SESSIONS = MARKET.partition_by("event_time")
Say = Callable[..., Result]


@pytest.fixture
def say(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setattr(Lake, "open", lambda: lake)
    for rows in SESSIONS:
        lake.merge(BARS, rows)
    lake.merge(QUARANTINE, QUARANTINE.empty())

    def run(*arguments: str, code: int = 0) -> Result:
        said = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert said.exit_code == code, said.output
        return said

    return run


def values(said: Result) -> Any:
    return json.loads(said.output)


def test_a_whole_lake_is_said_to_be_whole(say: Say) -> None:
    assert "2 tables are whole." in say("doctor").output
    assert values(say("doctor", "bars", "--json")) == []
    assert "'bars' was whole." in say("repair", "bars").output


def test_a_broken_table_is_named_and_repaired(say: Say, lake: Lake) -> None:
    newest = lake.version(BARS)
    entry = delta_log.entry(lake.path(BARS), newest)
    entry.write_text(entry.read_text(encoding="utf-8")[:90], encoding="utf-8")
    found = values(say("doctor", "--json", code=1))
    assert [(one["table"], one["kind"], one["file"]) for one in found] == [("bars", "torn log entry", str(entry))]
    assert "torn log entry" in say("doctor", "bars", code=1).output
    repaired = say("repair", "bars").output
    assert f"Lost: Versions {newest} to {newest} are gone" in repaired
    assert ".damaged" in repaired
    assert f"'bars' is whole at version {newest + 1}." in repaired
    assert "2 tables are whole." in say("doctor").output
    assert lake.read(BARS).height == MARKET.height - 2


def test_versions_are_listed_with_who_uses_them(say: Say, lake: Lake) -> None:
    pin(lake, "model:a", {"bars": 3})
    lake.compact(BARS, at_least=2)
    listed = values(say("versions", "bars", "--json"))
    assert [one["version"] for one in listed] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert [one["kind"] for one in listed] == ["compaction", *["rows"] * 6, "declaration"]
    assert [one["rows_added"] for one in listed] == [0, *[2] * 6, 0]
    assert [one["version"] for one in listed if one["in_use_by"] == ["model:a"]] == [3]
    assert "model:a" in say("versions", "bars").output


def test_the_difference_of_two_versions_is_shown(say: Say, lake: Lake) -> None:
    lake.merge(BARS, SESSIONS[0].with_columns(pl.col("known_time") + timedelta(days=9), volume=pl.lit(1.0)))
    shown = values(say("diff", "6", "7", "bars", "--json"))
    assert {kind: len(rows) for kind, rows in shown.items()} == {"added": 0, "removed": 0, "changed": 2}
    assert {row["volume"] for row in shown["changed"]} == {1.0}
    assert "2 rows added" in say("diff", "1", "2", "bars").output


def test_house_keeping_says_what_it_did(say: Say, lake: Lake) -> None:
    done = values(say("compact", "bars", "--at-least", "2", "--json"))
    assert (done[0]["files_joined"], done[0]["files_written"]) == (6, 1)
    swept = values(say("vacuum", "bars", "--keep-days", "0", "--json"))
    assert (swept[0]["files_deleted"], swept[0]["entries_deleted"]) == (6, 7)
    assert "Maintenance" in say("vacuum").output
    assert lake.read(BARS).sort(BARS.key).equals(MARKET)


def test_an_unknown_table_names_the_nearest(say: Say) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean bars"):
        say("versions", "bar")
