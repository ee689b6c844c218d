"""`quantlake portfolio`: tables of 80 columns, values for programs, and what it says where there is nothing."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from lake.clock import FixedClock
from lake.errors import NotReadyError, UnknownNameError
from lake.settings import settings as read_settings
from lake.store import Lake
from lake.tables import BARS
from serving.portfolio import DeclaredPortfolio, update_portfolio_weights
from support.portfolios import small_market

NOW = datetime(2012, 12, 31, 21, tzinfo=UTC)
NAMES = ("black_litterman", "equal", "inverse_volatility")


@pytest.fixture
def home(home_of_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("COLUMNS", "80")
    Lake.open(read_settings()).merge(BARS, BARS.empty())
    return Lake.open(read_settings())


@pytest.fixture
def filled(home: Lake, tmp_path: Path) -> Lake:
    home.merge(BARS, small_market(tmp_path / "small", NOW).read(BARS))
    update_portfolio_weights(home, FixedClock(NOW), [DeclaredPortfolio(name, name) for name in NAMES], first_bars=5)
    return home


def said(*words: str) -> str:
    output: str = CliRunner().invoke(app, ["portfolio", *words], catch_exceptions=False).stdout
    return output


@pytest.mark.usefixtures("filled")
def test_list_shows_each_beside_1_over_n_within_80_columns() -> None:
    text = said("list")
    assert [name in text for name in NAMES] == [True] * 3
    table = text[: text.index("vol.: volatility")].splitlines()
    assert max(len(line.rstrip()) for line in table) <= 80
    assert "No portfolio is chosen by what it earned" in text.replace("\n", " ")
    assert [row["portfolio"] for row in json.loads(said("list", "--json"))] == list(NAMES)
    assert said("list", "--csv").count("\n") == 4


@pytest.mark.usefixtures("filled")
def test_show_tells_weights_reason_evidence_and_costs() -> None:
    text = " ".join(said("show", "inverse_volatility").split())
    assert "No review is due, 4 bars after the last one." in text
    assert "not yet judged: 4 bars of at least 20 (e-value 1.00 of 20 needed)" in text
    assert "Weights are no recommendation to invest." in text
    document = json.loads(said("show", "inverse_volatility", "--json"))
    assert sum(each["weight"] for each in document["positions"]) == pytest.approx(1.0)
    assert said("show", "inverse_volatility", "--csv").count("\n") == 5
    first = json.loads(said("show", "inverse_volatility", "--as-of", "2012-12-24", "--json"))
    assert (first["trigger"], first["bought"]) == ("first", 1.0)


@pytest.mark.usefixtures("filled")
def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="inverse_volatility"):
        said("show", "inverse")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("words", [("list",), ("show", "equal")])
def test_before_there_are_weights_it_says_what_makes_them(words: tuple[str, ...]) -> None:
    with pytest.raises(NotReadyError, match="No portfolio had weights by 2012-12-31"):
        said(*words)
