"""Nobody else on the machine reads what is in a home: files are made closed, and an old, open home is closed."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lake.disk import close_home

PATHS = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
"""Where the rooms and the helpers of tests lie."""
OPEN_UMASK = 0o022
COMMAND = "from dagster_project.cli import main; main()"
MAKES = """
import os, sys
from lake import disk
how = sys.argv[1]
if how == "mutant":
    disk.close_new_files = lambda: None
sys.argv[1:] = ["keys", "create", "desk", "--role", "read"]
from dagster_project.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
from feature_repo.online.redis_server import running_redis
from lake.settings import settings
from lake.store import Lake
from serving.forecast_log.draining import drain
from serving.forecast_log.writing import ForecastLog, LogEntry
from support.log import forecast_row
own = settings()
log = ForecastLog.open(own)
log.write([LogEntry(forecast_row(), "{}")])
drain(Lake.open(own), own)
log.close()
with running_redis(own):
    pass
if how != "short":
    from dagster_project.runs import prepare_home
    prepare_home(own)
"""


def run(home, code, *arguments):
    """Run Python as a shell does that lets others read what it makes."""
    environment = os.environ | {"QUANTLAKE_HOME": str(home)}
    environment["PYTHONPATH"] = os.pathsep.join([*PATHS, environment.get("PYTHONPATH", "")])
    environment.pop("REDIS_URL", None)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        umask=OPEN_UMASK,
        capture_output=True,
        text=True,
        check=True,
    )


def open_to_others(home):
    found = [home, *home.rglob("*")]
    return [str(path) for path in found if not path.is_symlink() and path.lstat().st_mode & 0o077]


@pytest.mark.parametrize("how", ["short", pytest.param("whole", marks=pytest.mark.slow)])
def test_a_home_that_the_commands_make_is_closed(tmp_path, how):
    home = tmp_path / "home"
    run(home, MAKES, how)
    assert open_to_others(home) == []
    made = {path.name for path in home.iterdir()}
    assert {"access", "tables", "redis", "forecast_log.sqlite"} | ({"dagster"} if how == "whole" else set()) <= made


@pytest.mark.slow
def test_without_the_umask_it_would_be_open(tmp_path):
    """The mutant."""
    run(tmp_path / "home", MAKES, "mutant")
    assert len(open_to_others(tmp_path / "home")) > 5


@pytest.fixture
def old(tmp_path):
    """A home as it was made once, with something in it that is not ours."""
    home = tmp_path / "old"
    for name in ("tables/bars", "access", "mine"):
        (home / name).mkdir(parents=True)
    for name in ("tables/bars/a.parquet", "access/last_used.json", "mine/notes.txt", "forecast_log.1.sqlite"):
        (home / name).write_text("x")
    script = home / "tables" / "run.sh"
    script.write_text("x")
    script.chmod(0o755)
    for path in (home, *home.rglob("*")):
        if path != script:
            path.chmod(0o755 if path.is_dir() else 0o644)
    return home


def test_an_old_home_is_closed_once_with_one_line(old):
    first = run(old, COMMAND, "audit", "show")
    assert first.stderr.count("\n") == 1
    assert f"{old} was open to other users of this machine (mode 755)." in first.stderr
    assert stat.S_IMODE(old.stat().st_mode) == 0o700
    assert set(open_to_others(old)) == {str(old / "mine"), str(old / "mine" / "notes.txt")}
    assert stat.S_IMODE((old / "tables" / "run.sh").stat().st_mode) == 0o700
    assert close_home(old) == ""


def test_links_and_homes_of_others_are_left_alone(old, tmp_path, monkeypatch):
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    outside.chmod(0o644)
    (old / "tables" / "link").symlink_to(outside)
    (old / "models").symlink_to(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: old.stat().st_uid + 1)
    assert close_home(old) == ""
    assert stat.S_IMODE(old.stat().st_mode) == 0o755
    monkeypatch.undo()
    assert close_home(old)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
    assert close_home(tmp_path / "nothing") == ""
