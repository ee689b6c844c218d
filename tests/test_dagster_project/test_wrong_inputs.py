"""What a person may get wrong: each mistake is one sentence behind its kind, with an exit code and no traceback."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dagster_project.cli import main
from lake.settings import Settings, settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from support.waiting import until


class Mistake(NamedTuple):
    """What was typed, where, and what is said of it."""

    arguments: str
    kind: str
    said: str
    code: int = 1
    environment: dict[str, str] = {}  # noqa: RUF012 - a named tuple's default is shared, and never changed


MISTAKES = (
    Mistake("predct AAPL", "UsageError", "No such command 'predct'. Did you mean 'predict'?", 2),
    Mistake("predict", "UsageError", "Missing argument 'symbols'. `quantlake predict --help`", 2),
    Mistake("predict AAPL --horzon 5", "UsageError", "No such option: --horzon (Possible options: --horizon).", 2),
    Mistake("predict AAPL --horizon soon", "ConfigError", "The horizon 'soon' is not understood."),
    Mistake("predict AAPL --horizon 0", "ConfigError", "a forecast looks at least 1 session ahead"),
    Mistake("predict AAPL --json --csv", "ConfigError", "Leave one out."),
    Mistake("keys create desk --csv --json", "ConfigError", "Leave one out."),
    Mistake("advance --sessions 0", "UsageError", "Input should be greater than or equal to 1.", 2),
    Mistake("run --until yesterday", "UsageError", "'yesterday' does not match the formats '%Y-%m-%d'.", 2),
    Mistake("sql 'select nothing from bars'", "ConfigError", "cannot be answered: Binder Error"),
    Mistake("sql 'from bras'", "ConfigError", "Did you mean"),
    Mistake("sql 'from selections'", "TableNotFoundError", "Table 'selections' does not exist"),
    Mistake("summary", "TableNotFoundError", "Table 'quarantine' does not exist"),
    Mistake("sql --file none.sql", "ConfigError", "The file none.sql is no query"),
    Mistake("sql 'from bars' --file none.sql", "ConfigError", "A query and --file are given"),
    Mistake("sql 'from bars' --at 2012-13-01", "ConfigError", "'2012-13-01' is neither a day nor an instant."),
    Mistake("sql 'from bars' --at noon", "ConfigError", "Write a day, e.g. 2010-01-04, or an instant"),
    Mistake("sql 'from bars' --rows none", "UsageError", "Invalid value for '--rows'", 2),
    Mistake("lake versions bras", "UnknownNameError", "There is no table 'bras'. Did you mean bars"),
    Mistake("lake diff 1 99 bars", "NotReadyError", "Version 99 of table 'bars' cannot be read"),
    Mistake("features show rsi14", "UnknownNameError", "Did you mean rsi_14"),
    Mistake("features coverage --by month", "UnknownNameError", "There is no way to divide the rows 'month'."),
    Mistake("market show dem", "UnknownNameError", "There is no market 'dem'. Did you mean demo"),
    Mistake("market new demo --source yahoo", "ConfigError", "'demo' is a packaged market."),
    Mistake("leaks none.py", "ConfigError", "There is no Python file at none.py."),
    Mistake("replay", "ConfigError", "Name one forecast, or ask for every one"),
    Mistake("settings QUANTLAKE_WORKRES", "UnknownNameError", "Did you mean QUANTLAKE_WORKERS?"),
    Mistake("keys revoke nobody", "UnknownNameError", "There is no key 'nobody'."),
    Mistake("sources pull yaho --symbols AAPL", "UnknownNameError", "Did you mean yahoo?"),
    Mistake(
        "summary", "UnknownNameError", "There is no setting 'QUANTLAKE_WORKRES'. Did you mean QUANTLAKE_WORKERS?",
        environment={"QUANTLAKE_WORKRES": "2"},
    ),
    Mistake("market list", "UnknownNameError", "no setting 'QUANTLAKE_HOM'", environment={"QUANTLAKE_HOM": "data"}),
    Mistake("summary", "ConfigError", "QUANTLAKE_PORT", environment={"QUANTLAKE_PORT": "80"}),
    Mistake("serve", "ConfigError", "QUANTLAKE_DASHBOARD: Input should", environment={"QUANTLAKE_DASHBOARD": "mount"}),
    Mistake(
        "dashboard", "ConfigError", "`quantlake serve` runs both.", environment={"QUANTLAKE_DASHBOARD": "mounted"},
    ),
    Mistake("demo", "UnknownNameError", "no experiment 'dmo'", environment={"QUANTLAKE_EXPERIMENT": "dmo"}),
    Mistake("run", "ConfigError", "it cannot be made", environment={"QUANTLAKE_HOME": "/proc/home"}),
    Mistake("predict AAPL", "NotReadyError", "There is no home", environment={"QUANTLAKE_HOME": "/proc/home"}),
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that holds one table, in a folder that is not the working one."""
    Lake.open(Settings(home=tmp_path / "home")).merge(BARS, tiny_market(["AAA"], sessions=5, seed=1))
    (tmp_path / "home").chmod(0o700)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    settings.cache_clear()  # the next test reads its own


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: " ".join((mistake.arguments, *mistake.environment)))
def test_a_mistake_is_one_sentence_behind_its_kind(
    mistake: Mistake, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import shlex

    for name, value in mistake.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["quantlake", *shlex.split(mistake.arguments)])
    settings.cache_clear()
    stood, before = sorted(home.rglob("*")), os.umask(0o022)
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        os.umask(before)
        settings.cache_clear()
    said = capfd.readouterr().err
    assert ended.value.code == mistake.code, said
    assert re.match(rf"{mistake.kind}: \S", said), said
    assert mistake.said in said
    assert "Traceback" not in said
    assert not [*Path.cwd().iterdir()], "a mistake makes nothing"
    if "--csv" in mistake.arguments:
        assert sorted(home.rglob("*")) == stood, "two formats are refused before anything is done"


@pytest.mark.parametrize("word", ["PermissionError", "OSError"])
def test_a_home_that_cannot_be_written_to_is_a_sentence(
    word: str, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import errno

    number = errno.EACCES if word == "PermissionError" else errno.ENOSPC

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(home / "tables"))

    monkeypatch.setattr("dagster_project.commands.summaries.show", refuse)
    monkeypatch.setattr(sys, "argv", ["quantlake", "summary"])
    settings.cache_clear()
    with pytest.raises(SystemExit) as ended:
        main()
    said = capfd.readouterr().err
    assert ended.value.code == 1
    assert said.startswith(f"ConfigError: {home / 'tables'}: ")
    assert ("QUANTLAKE_HOME" if number == errno.EACCES else "disk is full") in said


def test_ctrl_c_says_what_goes_on_from_here(tmp_path: Path) -> None:
    """A real process, and the signal that a terminal sends to it and its children."""
    log = tmp_path / "said"
    environment = {"QUANTLAKE_HOME": str(tmp_path / "home"), "QUANTLAKE_EXPERIMENT": "test", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_project.cli", "demo"],
            env=os.environ | environment, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: "raw_bars ..." in log.read_text())
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=120) == 130
    finally:
        process.kill()
    said = log.read_text()
    assert said.rstrip().endswith("Stopped. `make demo` goes on from here."), said
    assert "Traceback" not in said
    assert "RunFailedError" not in said
