"""`quantlake backtest`: a file is run with its progress, shown in 80 columns and as values, and listed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from lake.clock import DEMO_START
from lake.errors import NotReadyError, UnknownNameError
from lake.settings import settings as read_settings
from lake.store import Lake
from serving.api import DISCLAIMER
from serving.backtest import latest_backtest
from support.backtests import made_market

FILE = "name: mine\npool: ridge\nshuffles: 1\ncapacity: [100_000]\n"


@pytest.fixture
def lake(home_of_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("COLUMNS", "80")
    return made_market(Lake.open(read_settings()))


def said(*words: str) -> str:
    output: str = CliRunner().invoke(app, ["backtest", *words], catch_exceptions=False).stdout
    return output


def test_a_file_is_run_shown_and_listed(lake: Lake, tmp_path: Path) -> None:
    (file := tmp_path / "mine.yaml").write_text(FILE, encoding="utf-8")
    assert "No back-test was run yet" in said("list")
    with pytest.raises(NotReadyError, match="backtest run"):
        said("show")
    text = said("run", str(file))
    found = latest_backtest(lake, DEMO_START)
    assert found is not None
    assert "trading" in text, "its progress"
    assert DISCLAIMER in text
    for heading in ("1/N", "naive (cash)", "fold from", "net Sharpe", "Deflated Sharpe ratio"):
        assert heading in text
    picture = read_settings().reports / f"backtest-{found.backtest_id}.png"
    assert picture.is_file()
    tables = [line for line in text.splitlines() if "─" in line]
    assert max(map(len, tables)) <= 80
    assert found.backtest_id in said("list")
    shown = said("show", found.backtest_id[:6])
    assert f"{100 * found.row['net_return']:.2f}" in shown
    assert f"{100 * found.row['equal_weight_net_return']:.2f}" in shown


def test_programs_read_one_document(lake: Lake, tmp_path: Path) -> None:
    (file := tmp_path / "mine.yaml").write_text(FILE, encoding="utf-8")
    assert json.loads(said("list", "--json")) == []
    ran = json.loads(said("run", str(file), "--json"))
    assert set(ran["report"]["accounts"]) == {"strategy", "equal_weight", "naive"}
    (listed,) = json.loads(said("list", "--json"))
    assert listed["backtest_id"] == ran["backtest_id"]
    assert json.loads(said("show", "--json"))["report"] == ran["report"]
    assert json.loads(said("list", "--as-of", "2012-11-01", "--json")) == []
    header, row = said("list", "--csv").splitlines()
    assert header.startswith("backtest_id,")
    assert row.startswith(ran["backtest_id"])


def test_a_file_that_is_not_there_is_refused_before_anything_is_read(home_of_environment: Path) -> None:
    with pytest.raises(UnknownNameError, match="strategy file"):
        said("run", "nothing")
