"""`quantlake ledger`: every family of trials with what its best is worth, in 80 columns and as values."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from lake.clock import DEMO_START
from lake.errors import NotReadyError, UnknownNameError
from lake.ledger import TrialLedger, families_of
from lake.settings import settings as read_settings
from lake.store import Lake
from lake.tables import BARS
from support.trials import scored_trials

RIDGE, LSTM = "ridge, forecast_v2, 1 session", "lstm, forecast_v2, 5 sessions"


@pytest.fixture
def ledger(home_of_environment: Path, monkeypatch: pytest.MonkeyPatch) -> TrialLedger:
    monkeypatch.setenv("COLUMNS", "80")
    lake = Lake.open(read_settings())
    lake.merge(BARS, BARS.empty())
    return TrialLedger(lake, DEMO_START - timedelta(days=5))


def said(*words: str) -> str:
    output: str = CliRunner().invoke(app, ["ledger", *words], catch_exceptions=False).stdout
    return output


def fill(ledger: TrialLedger) -> None:
    ledger.record([*scored_trials(RIDGE, 6, ledger.now), *scored_trials(LSTM, 1, ledger.now)[1:]])
    ledger.open_holdout([RIDGE], ledger.now, ledger.now, who="a test", reason="a look")


def test_each_family_is_a_line_with_its_trials_and_what_its_best_is_worth(ledger: TrialLedger) -> None:
    fill(ledger)
    lstm, ridge = families_of(ledger.lake, DEMO_START)
    text = said()
    (line,) = [line for line in text.splitlines() if line.startswith(RIDGE)]
    assert f" {ridge.trials} " in line
    assert f"{ridge.sharpe:+.4f}" in line
    assert f"{ridge.deflated_sharpe:.3f}" in line
    assert line.rstrip().endswith(" 1")
    assert ridge.overfitting is not None
    assert f"{ridge.overfitting.probability:.2f}" in line
    assert max(len(line.rstrip()) for line in text.splitlines()[:5]) <= 80
    assert f"No trial has a Sharpe ratio: {LSTM}." in text
    assert (lstm.trials, lstm.sharpe) == (1, None)


def test_values_are_those_of_the_ledger(ledger: TrialLedger) -> None:
    fill(ledger)
    lstm, ridge = json.loads(said("--json"))
    assert (ridge["family"], ridge["trials"], ridge["failed"], ridge["openings"]) == (RIDGE, 7, 1, 1)
    assert ridge["parameters"] == {"penalty": 5}
    assert ridge["overfitting_trials"] == 6
    assert 0 <= ridge["on_noise"][0] < ridge["on_noise"][1] <= 1
    assert [lstm[name] for name in ("sharpe", "deflated_sharpe", "overfitting", "kind")] == [None] * 4
    (only,) = json.loads(said("--json", "--family", "ridge"))
    assert only == ridge
    assert said("--csv").count("\n") == 3


def test_a_family_that_is_not_there_is_refused_with_those_that_are(ledger: TrialLedger) -> None:
    fill(ledger)
    with pytest.raises(UnknownNameError, match="ridge, forecast_v2, 1 session"):
        said("--family", "ridge, 9")


def test_before_anything_was_scored_it_says_what_scores(ledger: TrialLedger) -> None:
    with pytest.raises(NotReadyError, match="the trial ledger is empty"):
        said()
    fill(ledger)
    with pytest.raises(NotReadyError, match="No trial was scored up to 2012-12-02"):
        said("--as-of", "2012-12-02")
