"""The tables of the terminal, over a small lake."""

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from dagster_project.commands import summaries
from dagster_project.commands.shell import WIDTH
from lake.settings import Settings
from lake.store import Lake
from lake.tables import EVALUATIONS

NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)
IN_FORCE = "demo@aaaaaaaaaaaa"


def score(experiment: str, model: str, *, beats: bool, advantage_t: float | None) -> dict[str, object]:
    numbers = dict.fromkeys([column.name for column in EVALUATIONS.columns if column.dtype == pl.Float64], 0.0123)
    return numbers | {
        "experiment": experiment,
        "model": model,
        "fold": "overall",
        "horizon_sessions": 1,
        "rows": 18_825,
        "information_coefficient_t": -10.2,
        "beats_naive": beats,
        "advantage_t": advantage_t,
        "event_time": NOW,
        "known_time": NOW,
    }


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines of the model table, where two trainings were judged at the same market time."""
    settings = Settings(home=tmp_path)
    scores = [
        score(IN_FORCE, "naive", beats=False, advantage_t=None),
        score(IN_FORCE, "ridge", beats=True, advantage_t=3.04),
        score(IN_FORCE, "lightgbm", beats=True, advantage_t=1.26),
        score(IN_FORCE, "tft", beats=False, advantage_t=-12.5),
        *(score(f"demo@{letter * 12}", "lstm", beats=True, advantage_t=9.9) for letter in "09z"),
    ]
    Lake.open(settings).merge(EVALUATIONS, pl.DataFrame(scores, schema=EVALUATIONS.schema))
    monkeypatch.setattr("training.stages.champions", lambda _: {"ridge": {"experiment": IN_FORCE}})
    page = Console(file=StringIO(), width=WIDTH, soft_wrap=True)
    page.print(summaries.models(settings))
    assert isinstance(page.file, StringIO)
    return page.file.getvalue().splitlines()


def line_of(shown: list[str], model: str) -> str:
    (found,) = [line for line in shown if line.strip().startswith(model)]
    return found


@pytest.mark.parametrize(
    ("model", "t", "verdict"),
    [("ridge", "3.0", "yes"), ("lightgbm", "1.3", "yes, by chance?"), ("tft", "-12.5", "no"), ("naive", "", "-")],
)
def test_the_model_table_says_how_sure_an_advantage_is(shown: list[str], model: str, t: str, verdict: str) -> None:
    *_, sureness, said = (cell.strip() for cell in line_of(shown, model).split("│"))
    assert (sureness, said) == (t, verdict)


def test_the_model_table_is_that_of_the_models_in_force_and_fits_a_log_file(shown: list[str]) -> None:
    assert not [line for line in shown if "lstm" in line]
    assert len(shown) == len(["title", "names", "rule"]) + 4
    assert max(map(len, shown)) <= WIDTH
