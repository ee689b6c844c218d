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
from lake.sources import PackagedMarket
from lake.store import Lake
from lake.tables import EVALUATIONS, VERDICTS

NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)
IN_FORCE = "demo@aaaaaaaaaaaa"


def score(experiment: str, model: str) -> dict[str, object]:
    numbers = dict.fromkeys([column.name for column in EVALUATIONS.columns if column.dtype == pl.Float64], 0.0123)
    return numbers | {
        "experiment": experiment,
        "model": model,
        "fold": "overall",
        "horizon_sessions": 1,
        "rows": 18_825,
        "beats_naive": True,
        "event_time": NOW,
        "known_time": NOW,
    }


def verdict(experiment: str, model: str, **given: object) -> dict[str, object]:
    return {
        "experiment": experiment,
        "model": model,
        "horizon_sessions": 1,
        "is_baseline": False,
        "is_constant": False,
        "best_baseline": "garch",
        "pinball_loss": 0.004821,
        "seeds": 1,
        "loss_spread": None,
        "gain": 0.0123,
        "gain_t": 3.04,
        "p_value": 0.001,
        "folds_won": 3,
        "folds": 3,
        "beats_best_baseline": False,
        "hit_rate": 0.514,
        "base_rate": 0.542,
        "event_time": NOW,
        "known_time": NOW,
    } | given


VERDICTS_OF_FORCE = {
    "naive": {"is_baseline": True, "p_value": None, "gain_t": None, "hit_rate": None, "gain": 0.0},
    "garch": {"is_baseline": True, "p_value": None},
    "ridge": {"beats_best_baseline": True},
    "lightgbm": {"gain_t": 1.26, "p_value": 0.2},
    "lstm": {"gain": -0.1234, "gain_t": -12.5, "p_value": 1.0},
    "tft": {"is_constant": True},
}


def page_of(home: Path, monkeypatch: pytest.MonkeyPatch, width: int, changes: dict[str, object]) -> list[str]:
    """Lines of the model table, where two trainings were judged at the same market time."""
    settings, lake = Settings(home=home), Lake.open(Settings(home=home))
    names = [(IN_FORCE, name) for name in VERDICTS_OF_FORCE] + [(f"demo@{letter * 12}", "har") for letter in "09z"]
    verdicts = [verdict(label, name, **(VERDICTS_OF_FORCE.get(name, {}) | changes)) for label, name in names]
    lake.merge(EVALUATIONS, pl.DataFrame([score(*name) for name in names], schema=EVALUATIONS.schema))
    lake.merge(VERDICTS, pl.DataFrame(verdicts, schema=VERDICTS.schema))
    monkeypatch.setattr("training.stages.champions", lambda _: {"ridge": {"experiment": IN_FORCE}})
    page = Console(file=StringIO(), width=width)
    page.print(summaries.models(settings))
    assert isinstance(page.file, StringIO)
    return page.file.getvalue().rstrip().splitlines()


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return page_of(tmp_path, monkeypatch, WIDTH, {})


def line_of(shown: list[str], model: str) -> list[str]:
    (found,) = [line.split() for line in shown if line.strip().startswith(f"{model} ")]
    return found


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("ridge", "beats garch"),
        ("lightgbm", "by chance?"),
        ("lstm", "no"),
        ("tft", "constant"),
        ("naive", "-"),
        ("garch", "-"),
    ],
)
def test_the_verdict_is_against_the_best_baseline(shown: list[str], model: str, said: str) -> None:
    assert " ".join(line_of(shown, model)).endswith(f" 1.2 {said}")


def test_the_hit_rate_stands_beside_what_always_saying_up_would_hit(shown: list[str]) -> None:
    assert line_of(shown, "ridge")[7:9] == ["51.4", "54.2"]
    names = next(line for line in shown if line.startswith("model")).split()
    assert names[names.index("hit") + 1] == "up"
    assert any("always saying up" in line for line in shown)


def test_the_number_of_seeds_is_said_and_their_spread_shown(
    shown: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "networks are the mean of 1 seed: its spread is not known" in shown
    many = page_of(tmp_path / "many", monkeypatch, WIDTH, {"seeds": 5, "loss_spread": 0.000012})
    assert "networks are the mean of 5 seeds, ± their deviation" in many
    assert line_of(many, "ridge")[3] == "0.0012"


def test_what_the_source_says_of_its_symbols_stands_below(
    shown: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown[-1] == "The symbols are companies that still existed in 2013: their returns are those of survivors."
    monkeypatch.setattr(PackagedMarket, "caveats", ())
    counted = page_of(tmp_path / "counted", monkeypatch, WIDTH, {})
    assert counted[-1].endswith("returns are likely those of survivors."), "the list of symbols is always spoken of"


@pytest.mark.parametrize("width", [80, WIDTH])
def test_the_model_table_is_that_of_the_models_in_force_and_fits_the_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    shown = page_of(tmp_path, monkeypatch, width, {"seeds": 5, "loss_spread": 0.000012})
    assert not [line for line in shown if line.startswith("har")]
    assert {line.split()[0] for line in shown if line.split()[1:2] == ["1"]} == set(VERDICTS_OF_FORCE)
    assert max(map(len, map(str.rstrip, shown))) <= width


def answer(symbol: str, close: float | None, basis: str, horizon: int = 1, **prediction: object) -> dict[str, object]:
    said = {
        "reference_price": close,
        "target_price": None if close is None else close * 1.01,
        "price_basis": basis,
        "currency": "USD",
        "target_session": "2013-01-02",
        "horizon_sessions": horizon,
        "p10": -0.0234,
        "p50": 0.01,
        "p90": 0.0247,
        "direction": "flat",
        "confidence": 0.506,
        "outlook": "flat",
    }
    return {
        "symbol": symbol,
        "as_of": "2012-12-31T21:00:00Z",
        "prediction": said | prediction,
        "model": {"name": "blend"},
    }


def printed(answers: list[dict[str, object]], width: int = 80) -> list[str]:
    page = Console(file=StringIO(), width=width)
    page.print(summaries.forecasts(answers))
    assert isinstance(page.file, StringIO)
    return [line.rstrip() for line in page.file.getvalue().splitlines()]


def test_forecasts_are_told_in_prices_as_traded_and_fit_eighty_columns() -> None:
    answers = [
        answer("AAPL", 532.1729, "as_traded"),
        answer("BRK.A", 134_060.0, "as_traded"),
        answer("XOM", None, "adjusted_close_only"),
        answer("XOM", None, "adjusted_close_only", 5),
        answer("ACME", None, "split_adjusted"),
    ]
    shown = printed(answers)
    assert max(map(len, shown)) <= 80
    rows = [line.split() for line in shown]
    assert ["AAPL", "1", "2013-01-02", "532.17", "537.49", "-2.34", "1.00", "2.47", "flat", "50.6"] in rows
    assert ["XOM", "5", "2013-01-02", "-", "-", "-2.34", "1.00", "2.47", "flat", "50.6"] in rows
    text = " ".join(shown)
    assert "Served forecasts as of 2012-12-31" in text
    assert "close and target: as traded, in USD" in text
    assert "no price of XOM: the source tells adjusted closes only" in text
    assert "no price of ACME: the source adjusts for splits" in text


def test_a_currency_that_nobody_said_is_called_that() -> None:
    assert "in a currency not stated" in " ".join(printed([answer("AAA", 10.0, "as_traded", currency=None)]))
