"""What the README shows runs; `tests/architecture` looks at the links and commands of every page."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from lake.settings import Settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, FORECASTS
from serving.api import PredictAnswer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def _named(pattern: str) -> set[str]:
    found = set(re.findall(pattern, README))
    assert found
    return found


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
