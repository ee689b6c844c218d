"""`quantlake drift`: the newest findings in the terminal, and the page that is made when somebody asks."""

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from dagster_project.commands import summaries
from lake.clock import DEMO_START
from lake.errors import NotReadyError
from lake.settings import settings as read_settings
from lake.store import Lake
from lake.tables import BARS, DRIFT


@pytest.fixture
def home(home_of_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("COLUMNS", "80")
    lake = Lake.open(read_settings())
    lake.merge(BARS, BARS.empty())
    return lake


def findings(**p_values: float) -> pl.DataFrame:
    """Findings of the newest session, and older ones that nobody is shown."""
    stamp = {"event_time": DEMO_START, "known_time": DEMO_START, "method": "block means", "statistic": 1.0}
    rows = [
        {"subject": name, "aspect": "level", "p_value": p, "adjusted_p_value": p, "is_drifted": p < 0.05, **stamp}
        for name, p in p_values.items()
    ]
    before = DEMO_START - timedelta(days=3)
    newest = pl.DataFrame(rows, schema=DRIFT.schema)
    older = newest.with_columns(event_time=pl.lit(before), known_time=pl.lit(before), is_drifted=pl.lit(value=True))
    return pl.concat([newest, older])


def test_the_newest_findings_are_shown_and_their_page_is_made(home: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    home.merge(DRIFT, findings(return_1d=0.9, volatility_20d=0.001))
    monkeypatch.setattr("serving.drift.write_page", lambda _lake, settings, figures: settings.reports / figures.page)
    said = CliRunner().invoke(app, ["drift"], catch_exceptions=False).output
    assert "1 of 2 subjects drifted from the training years, as of the close of 2012-12-31" in said
    assert said.index("volatility_20d") < said.index("return_1d"), "what moved most comes first"
    assert f"The page: {read_settings().reports / 'drift-2012-12-31.html'}" in said
    found = json.loads(CliRunner().invoke(app, ["drift", "--json"], catch_exceptions=False).output)
    assert (found["drifted"], len(found["findings"])) == (["volatility_20d"], 2)


def test_the_summary_counts_the_subjects_that_the_verb_counts(home: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(return_1d=0.9, volatility_20d=0.001)
    home.merge(DRIFT, pl.concat([found, found.with_columns(aspect=pl.lit("missing"))]))
    monkeypatch.setattr("serving.drift.write_page", lambda _lake, settings, figures: settings.reports / figures.page)
    verdict = "1 of 2 subjects drifted"
    assert verdict in CliRunner().invoke(app, ["drift"], catch_exceptions=False).output
    assert f"{verdict}: volatility_20d." in summaries._drift(read_settings())


@pytest.mark.usefixtures("home")
def test_before_a_session_was_judged_it_says_why() -> None:
    with pytest.raises(NotReadyError, match="No session was judged for drift by then"):
        CliRunner().invoke(app, ["drift"], catch_exceptions=False)
