"""`quantlake predict` takes a symbol as it is typed."""

import pytest

from dagster_project.commands.forecasts import ask
from lake.errors import UnknownNameError


class Desk:
    """A service that knows two symbols and answers with their names."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def predict(self, symbol: str, horizon: int) -> str:
        self.asked.append(symbol)
        if symbol not in {"AAPL", "BRK.B"}:
            raise UnknownNameError("symbol", symbol, ["AAPL", "BRK.B"])
        return f"{symbol} {horizon}"


@pytest.mark.parametrize(
    ("typed", "asked"), [("AAPL", ["AAPL"]), ("aapl", ["aapl", "AAPL"]), ("brk.b", ["brk.b", "BRK.B"])]
)
def test_any_spelling_of_a_symbol_is_answered(typed: str, asked: list[str]) -> None:
    desk = Desk()
    assert ask(desk, typed, 5) == f"{asked[-1]} 5"  # type: ignore[arg-type, comparison-overlap] # stands for a client
    assert desk.asked == asked


@pytest.mark.parametrize("typed", ["TSLA", "tsla", "EUR/USD"])
def test_a_name_that_is_no_symbol_in_any_spelling_is_refused(typed: str) -> None:
    with pytest.raises(UnknownNameError):
        ask(Desk(), typed, 1)  # type: ignore[arg-type] # stands for a client
