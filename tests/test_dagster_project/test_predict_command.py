"""`quantlake predict` takes symbols as they are typed, answers those it can, and names the others."""

import json
from types import SimpleNamespace
from typing import Any, Self

import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from dagster_project.commands import predict
from dagster_project.commands.predict import ask, ask_one
from lake.errors import ConfigError, NotReadyError, UnknownNameError
from lake.horizons import Horizon
from lake.settings import Settings

A_WEEK = Horizon(5, "session")


class Desk:
    """A service that knows three symbols, one of them without a forecast yet; its answers are their names."""

    known = ("AAPL", "BRK.B", "NEW")

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.horizons: list[dict[str, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def symbols(self) -> Any:
        return SimpleNamespace(symbols=[SimpleNamespace(symbol=name) for name in self.known])

    def predict(self, symbol: str, **horizon: int) -> Any:
        self.asked.append(symbol)
        self.horizons.append(horizon)
        if symbol == "NEW":
            raise NotReadyError("NEW: its history is too short.")
        if symbol not in self.known:
            raise UnknownNameError("symbol", symbol, self.known)
        return answer_of(symbol)

    def predict_batch(self, symbols: list[str], **horizon: int) -> Any:
        self.asked += symbols
        self.horizons.append(horizon)
        short = [SimpleNamespace(symbol="NEW", reason="its history is too short")] if "NEW" in symbols else []
        return SimpleNamespace(predictions=[answer_of(name) for name in symbols if name != "NEW"], unavailable=short)


def answer_of(symbol: str) -> Any:
    """An answer of the service for a direction at a coin's confidence."""
    prediction = {"target_price": 101.0, "reference_price": 100.0, "price_basis": "as_traded", "currency": "USD"}
    prediction |= {"target_session": "2013-01-02", "p10": -0.02, "p50": -0.0001, "p90": 0.02, "direction": "down"}
    prediction |= {"confidence": 0.506, "outlook": "no better than a coin", "horizon_sessions": 5, "regime": "calm"}
    values = {"symbol": symbol, "as_of": "2012-12-31T21:00:00Z", "prediction_id": f"id-of-{symbol}"}
    values |= {"prediction": prediction, "model": {"name": "blend"}}
    return SimpleNamespace(symbol=symbol, asked=None, model_dump=lambda **_: values)


@pytest.mark.parametrize(
    ("typed", "asked"), [("AAPL", ["AAPL"]), ("aapl", ["aapl", "AAPL"]), ("brk.b", ["brk.b", "BRK.B"])]
)
def test_any_spelling_of_a_symbol_is_answered(typed: str, asked: list[str]) -> None:
    desk = Desk()
    assert ask_one(desk, typed, A_WEEK).symbol == asked[-1]  # type: ignore[arg-type] # stands for a client
    assert desk.asked == asked
    assert desk.horizons[-1] == {"horizon_sessions": 5}


@pytest.mark.parametrize("typed", ["TSLA", "tsla", "EUR/USD"])
def test_a_name_that_is_no_symbol_in_any_spelling_is_refused(typed: str) -> None:
    with pytest.raises(UnknownNameError):
        ask_one(Desk(), typed, A_WEEK)  # type: ignore[arg-type] # stands for a client


def test_of_several_symbols_those_known_are_answered_at_once_and_every_other_is_named() -> None:
    desk = Desk()
    answered, refused = ask(desk, ["TSLA", "aapl", "BRK.A", "AAPL", "NEW"], A_WEEK)  # type: ignore[arg-type] # stands for a client
    assert [each.symbol for each in answered] == ["AAPL"]
    assert desk.asked[:2] == ["AAPL", "NEW"]
    assert list(refused) == ["TSLA", "BRK.A", "NEW"]
    assert isinstance(refused["NEW"], NotReadyError)
    near = {name: error.nearest for name, error in refused.items() if isinstance(error, UnknownNameError)}
    assert near == {"TSLA": [], "BRK.A": ["BRK.B"]}, "a far name is no suggestion"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()
    monkeypatch.setattr("serving.client.Client.local", lambda _: made)
    monkeypatch.setattr(predict, "require_home", lambda _: None)
    monkeypatch.setenv("COLUMNS", "80")
    return made


def test_the_view_for_a_person_says_price_currency_session_and_how_sure(desk: Desk) -> None:
    said = CliRunner().invoke(app, ["predict", "AAPL", "BRK.B", "--horizon", "5"], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    for part in ("AAPL", "BRK.B", "100.00", "101.00", "USD", "2013-01-02", "no better", "coin", "-2.00", "2.00"):
        assert part in said.output, part
    assert max(map(len, said.output.splitlines())) <= 80
    assert "\x1b" not in said.output, "plain text where no terminal reads it"


def test_one_symbol_as_json_is_the_answer_of_the_service_and_several_are_listed(desk: Desk) -> None:
    one = CliRunner().invoke(app, ["predict", "aapl", "--json"], catch_exceptions=False)
    assert json.loads(one.stdout)["prediction_id"] == "id-of-AAPL"
    two = CliRunner().invoke(app, ["predict", "AAPL", "TSLA", "--json"], catch_exceptions=False)
    found = json.loads(two.stdout)
    assert two.exit_code == 1
    assert [each["symbol"] for each in found["predictions"]] == ["AAPL"]
    assert list(found["refused"]) == ["TSLA"]
    assert "UnknownNameError: There is no symbol 'TSLA'" in two.stderr
    csv = CliRunner().invoke(app, ["predict", "AAPL", "--csv"], catch_exceptions=False).stdout.splitlines()
    assert dict(zip(*(line.split(",") for line in csv), strict=True))["confidence"] == "0.506"


@pytest.mark.parametrize("text", ["0", "-5", "soon", "5 weeks"])
def test_a_horizon_that_is_none_is_refused(text: str, desk: Desk) -> None:
    result = CliRunner().invoke(app, ["predict", "AAPL", f"--horizon={text}"])
    assert isinstance(result.exception, ConfigError)
    assert not desk.asked


def test_a_missing_home_stays_missing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "none"
    monkeypatch.setattr("lake.settings.settings", lambda: Settings(home=home))
    result = CliRunner().invoke(app, ["predict", "AAPL"])
    assert isinstance(result.exception, NotReadyError)
    assert str(home) in str(result.exception)
    assert not home.exists()
