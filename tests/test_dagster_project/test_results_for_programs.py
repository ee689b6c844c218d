"""`--json` and `--csv` of the verbs that run the asset graph: one document on standard output, progress beside it."""

import csv
import json
import subprocess
import sys
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dagster_project.cli import app
from dagster_project.commands import results
from dagster_project.commands.results import DONE, NOTHING_TO_DO, RunResult
from dagster_project.commands.shell import DataTable
from dagster_project.commands.update import stage_table
from dagster_project.runs import Stage
from lake.errors import ConfigError
from lake.settings import Settings, settings

PRINTS = """
import os, subprocess, sys
from dagster_project.commands.shell import progress_on_stderr

print("before")
kept = sys.stdout
with progress_on_stderr(when=sys.argv[1] == "program"):
    print("a sentence")
    kept.write("by the stream of before\\n")
    os.write(1, b"a library\\n")
    subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
print("result")
"""
PROGRESS = {"a sentence", "by the stream of before", "a library", "a child"}
STAGES = [Stage("raw_bars", 7, 0.25, 0.3), Stage("bars", 0, 0.1, 0.4, "every row is already stored")]


def streams(reader: str) -> tuple[list[str], list[str]]:
    done = subprocess.run([sys.executable, "-c", PRINTS, reader], capture_output=True, text=True, check=True)
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_what_a_run_prints_is_beside_its_result_for_a_program() -> None:
    stdout, stderr = streams("program")
    assert stdout == ["before", "result"]
    assert set(stderr) == PROGRESS


def test_a_person_reads_progress_and_result_in_one_place() -> None:
    stdout, stderr = streams("person")
    assert set(stdout) == {"before", "result"} | PROGRESS
    assert stderr == []


def test_standard_output_is_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> RunResult:
        print("progress")  # noqa: T201 - as a run does
        raise ConfigError("nothing to read from")

    with pytest.raises(ConfigError, match="nothing to read"):
        results.carry_out(fail, lambda _: None, Settings(), as_json=True, as_csv=False)
    print("afterwards")  # noqa: T201 - read below
    assert capfd.readouterr() == ("afterwards\n", "progress\n")


@pytest.mark.parametrize(("answers", "outcome"), [(None, NOTHING_TO_DO), ([], DONE)])
def test_the_outcome_tells_nothing_to_do_from_done(answers: list | None, outcome: str) -> None:
    assert RunResult("run", None, is_first=False, made={}, answers=answers, seconds=1.0).outcome == outcome


def test_a_stage_says_what_it_made_or_why_nothing() -> None:
    assert stage_table(STAGES).records() == [
        {"stage": "raw_bars", "rows_added": 7, "seconds": 0.25, "is_skipped": False, "reason": None},
        {
            "stage": "bars",
            "rows_added": 0,
            "seconds": 0.1,
            "is_skipped": True,
            "reason": "every row is already stored",
        },
    ]


def test_an_update_is_one_document_and_its_stages_are_a_table(
    home_of_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home_of_environment.mkdir()

    asked_for_tables: list[bool] = []

    def update(out: Console, *, with_tables: bool) -> tuple[dict[str, object], DataTable]:
        out.print("raw_bars: 7 new")
        asked_for_tables.append(with_tables)
        return {"command": "update", "outcome": DONE}, stage_table(STAGES)

    monkeypatch.setattr("dagster_project.commands.update._users", update)
    asked = CliRunner().invoke(app, ["update", "--json"], catch_exceptions=False)
    assert json.loads(asked.stdout) == {"command": "update", "outcome": "done"}
    assert "raw_bars: 7 new" in asked.stderr
    asked = CliRunner().invoke(app, ["update", "--csv"], catch_exceptions=False)
    assert [row["stage"] for row in csv.DictReader(StringIO(asked.stdout))] == ["raw_bars", "bars"]
    assert CliRunner().invoke(app, ["update"], catch_exceptions=False).exit_code == 0
    assert asked_for_tables == [True, False, False], "JSON alone prints the tables"


def test_a_plan_reaches_to_the_day_that_is_replayed_and_moves_nothing(home_of_environment: Path) -> None:
    def planned(*arguments: str) -> str:
        return CliRunner().invoke(app, ["run", "--plan", *arguments], catch_exceptions=False).stdout

    document = json.loads(planned("--until", "2012-06-29", "--json"))
    assert (document["command"], document["outcome"]) == ("run", "planned")
    assert document["plan"][0].endswith("2000-03-01 to 2012-06-29.")
    assert document["plan"][0] in planned("--until", "2012-06-29")
    assert "2000-03-01 to 2012-12-31." in planned()
    assert settings().clock.now() == datetime(2012, 12, 31, 21, tzinfo=UTC)
    assert not home_of_environment.exists(), "a plan writes nothing"
    with pytest.raises(ConfigError, match="ends on 2013-03-01"):
        planned("--until", f"{date(2014, 6, 30)}")
