"""`quantlake importance`: what was measured last, as a table of 80 columns and as values."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from lake.clock import DEMO_START
from lake.errors import NotReadyError
from lake.settings import settings as read_settings
from lake.store import Lake
from lake.tables import BARS, FEATURE_IMPORTANCE
from support.importance import RISES, importance_rows


@pytest.fixture
def home(home_of_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("COLUMNS", "80")
    lake = Lake.open(read_settings())
    lake.merge(BARS, BARS.empty())
    return lake


def said(*words: str) -> str:
    output: str = CliRunner().invoke(app, ["importance", *words], catch_exceptions=False).stdout
    return output


def test_features_come_by_their_rise_and_clusters_apart_within_80_columns(home: Lake) -> None:
    home.merge(FEATURE_IMPORTANCE, importance_rows(DEMO_START))
    text = said()
    assert "of blend, 1 session ahead" in text
    assert "200 sessions up to 2012-12-31, regime all, 20 repeats" in text
    order = [
        text.index(name) for name in ("volatility_garch", "return_5d", "rsi_14", "Correlated features", "return_20d")
    ]
    assert order == sorted(order)
    assert "+40.00" in text, "a rise of 0.004 on a loss of 0.01"
    tables = text[text.index("Features") :].splitlines()
    assert max(len(line.rstrip()) for line in tables) <= 80
    assert "nothing about causes" in text


def test_values_are_those_of_the_table_and_as_of_hides_what_came_later(home: Lake) -> None:
    home.merge(FEATURE_IMPORTANCE, importance_rows(DEMO_START))
    home.merge(FEATURE_IMPORTANCE, importance_rows(DEMO_START - timedelta(days=40), factor=-1.0))
    now, then = (json.loads(said("--json", *words)) for words in ((), ("--as-of", "2012-12-01")))
    assert {row["feature"]: row["loss_rise"] for row in now} == RISES
    assert {row["feature"]: row["loss_rise"] for row in then} == {name: -rise for name, rise in RISES.items()}
    assert [row["rank_last_month"] for row in now if len(row["features"]) == 1] == [3, 2, 1]
    assert said("--csv").count("\n") == len(RISES) + 1


@pytest.mark.usefixtures("home")
def test_before_anything_was_measured_it_says_what_measures() -> None:
    with pytest.raises(NotReadyError, match="`quantlake importance --measure` does it now"):
        said("--horizon", "5")
