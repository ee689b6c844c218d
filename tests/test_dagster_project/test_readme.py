"""The README and the pages beside it name only what exists, and what they show runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import typer.main

from dagster_project.cli import app
from lake.settings import Settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, FORECASTS
from serving.api import PredictAnswer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKS = sorted(
    {
        (page.relative_to(ROOT).as_posix(), link.partition("#")[0])
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:|#", link)
    }
)


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def _named(pattern: str) -> set[str]:
    found = set(re.findall(pattern, README))
    assert found
    return found


def test_every_make_verb_is_in_the_makefile():
    declared = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert _named(r"\bmake ([a-z-]+)") - declared == set()


def test_every_verb_of_the_command_exists():
    assert _named(r"bin/quantlake ([a-z]+)") - set(typer.main.get_command(app).commands) == set()


def test_every_relative_link_leads_somewhere():
    assert [f"{page}: {link}" for page, link in LINKS if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_every_variable_is_a_setting():
    known = {f"QUANTLAKE_{field.upper()}" for field in Settings.model_fields}
    known |= {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert _named(r"`([A-Z]+(?:_[A-Z]+)+)`") - known == set()


def test_the_python_snippet_runs(tmp_path: Path):
    lake = Lake.open(Settings(home=tmp_path))
    lake.merge(BARS, tiny_market(["AAA"], sessions=5, seed=1))
    lake.merge(FORECASTS, FORECASTS.empty())
    (snippet,) = _blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        env=os.environ | {"QUANTLAKE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "symbol" in done.stdout


def test_the_forecast_that_is_shown_has_the_form_of_an_answer():
    (shown,) = _blocks("json")
    answer = PredictAnswer.model_validate(json.loads(shown))
    assert (answer.symbol, answer.prediction.horizon_sessions) == ("AAPL", 1)
    assert answer.data.feature_table_versions
