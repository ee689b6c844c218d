"""Runs that Dagster starts, and commands, take turns in one home."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dagster_project.servers.processes import executable

HOLD = """
import sys
from pathlib import Path
from lake.disk import job_lock
with job_lock(Path(sys.argv[1]), "quantlake advance", print):
    print("at work", flush=True)
    sys.stdin.readline()
"""
WAITING = r"`quantlake advance` \(pid {pid}, since \d\d:\d\d\) is running in this home; waiting for it to finish"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["dagster", "job", "execute", "-m", "dagster_project.definitions", "-j", "weekly_maintenance"],
        ["quantlake", "lake", "vacuum", "--yes"],
    ],
)
def test_a_run_and_a_command_wait_for_the_job_at_work(tmp_path: Path, command: list[str]) -> None:
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    environment = os.environ | {
        "QUANTLAKE_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    hold = [sys.executable, "-c", HOLD, str(home)]
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline().strip() == "at work"
        second = subprocess.Popen(
            [executable(command[0]), *command[1:]],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with second:
            assert second.stdout is not None
            said = ""
            while not re.search(WAITING.format(pid=holder.pid), said):
                line = second.stdout.readline()
                assert line, f"it ended without a word about whom it waits for: {said}"
                said += line
            assert second.poll() is None
            holder.stdin.write("\n")
            holder.stdin.close()
            rest = second.stdout.read()
            assert second.wait(120) == 0, said + rest


@pytest.mark.usefixtures("settings")
def test_the_verbs_that_compute_hold_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from dagster_project.cli import app
    from dagster_project.commands.shell import DataTable
    from lake.disk.locks import HOLDER
    from lake.settings import settings

    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    held: list[str] = []
    (tmp_path / "home").mkdir()

    def note(*_: object, **__: object) -> tuple[dict[str, str], DataTable]:
        held.append((tmp_path / "home" / HOLDER).read_text())
        return {}, DataTable.of("", (), ())

    for verb in ("demo", "advance"):
        monkeypatch.setattr(f"dagster_project.commands.{verb}.{verb}", note)
        monkeypatch.setattr(f"dagster_project.commands.{verb}.show", note)
    monkeypatch.setattr("dagster_project.commands.update._users", note)
    try:
        for verb in ("demo", "advance", "update"):
            assert CliRunner().invoke(app, [verb]).exit_code == 0
            assert f'"quantlake {verb}"' in held[-1]
            assert not (tmp_path / "home" / HOLDER).exists()
    finally:
        settings.cache_clear()
