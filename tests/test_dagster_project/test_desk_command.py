"""`quantlake desk`: an account is opened, decides, is explained, made again, reconciled and handed out."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dagster_project.cli import app
from lake.clock import ReplayClock
from lake.errors import ConflictError, NotReadyError, UnknownNameError
from lake.settings import settings as read_settings
from lake.store import Lake
from lake.tables import AUDIT
from serving.api import ADVICE_DISCLAIMER
from support.backtests import closes_of
from support.desks import desk_home

START = ("start", "--by", "A. Analyst", "trial")


@pytest.fixture
def lake(home_of_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("COLUMNS", "80")
    return desk_home(read_settings())


def ran(*words: str) -> Result:
    return CliRunner().invoke(app, ["desk", *words], catch_exceptions=False)


def said(*words: str) -> str:
    output: str = ran(*words).stdout
    return output


def test_an_account_is_opened_decides_is_explained_made_again_reconciled_and_handed_out(
    lake: Lake, tmp_path: Path
) -> None:
    for words in (("decide",), ("reconcile",)):
        with pytest.raises(NotReadyError, match="No account is open"):
            said(*words)
    assert "No account is open" in said("status")
    closes, clock = closes_of(lake), read_settings().clock
    assert isinstance(clock, ReplayClock)
    opened = said(*START)
    assert "1/N beside it" in opened
    assert "the desk decides to hold" in opened
    with pytest.raises(ConflictError, match="terms never change"):
        said(*START)
    assert lake.read(AUDIT).filter(what="desk.start").height == 1
    assert "0 orders sent" in said("decide"), "nobody has released trading"
    assert "was decided at already" in said("decide")
    said("resume", "--by", "A. Reviewer", "released")
    shown = said("status")
    assert ADVICE_DISCLAIMER.split(":")[0] in " ".join(shown.split())
    for line in ("rules and limits", "execution", "costs", "result", "1/N, costs deducted"):
        assert line in shown
    (account,) = json.loads(said("status", "--json"))["accounts"]
    assert account["equity"]["equal_weight_equity"] == account["equity"]["equity"] == 1e6
    decided = account["decisions"][0]["decision_id"]
    assert decided == f"paper.{closes[-1]:%Y%m%dT%H%M}.AAA"
    text = said("explain", decided)
    assert "rule:halted" in text
    assert "strategy:ridge" in text
    assert "equal, to the last bit, by the same code" in said("replay", decided)
    with pytest.raises(UnknownNameError):
        said("explain", "paper.20120101T2100.XXX")
    compared = ran("reconcile")
    assert compared.exit_code == 0
    assert "equal, to the last bit" in compared.stdout
    folder = tmp_path / "report"
    assert "decisions.csv" in said("export", str(folder), "--since", "2012-01-01", "--until", "2013-12-31")
    assert json.loads((folder / "manifest.json").read_text())["files"]["decisions.csv"]["rows"] == 4
    tables = [line for line in (shown + text).splitlines() if "─" in line]
    assert max(map(len, tables)) <= 80


def test_a_preview_writes_nothing_and_sends_nothing(lake: Lake) -> None:
    said(*START)
    said("resume", "--by", "A. Reviewer", "released")
    said("decide")
    before = said("status", "--json")
    rows = json.loads(said("decide", "--preview", "--json"))
    assert {row["symbol"] for row in rows} == {"AAA", "BBB", "CCC", "DDD"}
    assert said("status", "--json") == before
