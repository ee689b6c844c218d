"""The packaged markets beside the default, as commands and partitions see them."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dagster_project.commands.demo import demo
from dagster_project.commands.market import app
from dagster_project.commands.plan import plan_of
from dagster_project.partitions import years_of_market
from lake.errors import ConfigError
from lake.market import DEMO, LONG, WIDE, Market, market_of
from lake.settings import settings


@pytest.fixture(params=[LONG, WIDE], ids=lambda market: market.name)
def market(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path))
    monkeypatch.setenv("QUANTLAKE_MARKET", request.param.name)
    settings.cache_clear()
    yield request.param
    settings.cache_clear()


def test_a_market_is_chosen_by_its_name_and_has_a_home_of_its_own(market: Market, tmp_path: Path) -> None:
    assert settings().declared_market == market
    assert settings().home == tmp_path / "markets" / market.name
    assert settings().clock.now() == market.starts_at
    assert not settings().home.exists(), "asking writes nothing"
    assert market_of(tmp_path) is DEMO


def test_the_plan_says_what_comes_and_how_long_it_takes_before_it_begins(market: Market) -> None:
    said = plan_of(settings())
    assert {"long": "138,741 bars of 27 symbols", "wide": "105,599 bars of 524 symbols"}[market.name] in said
    assert f"to {market.starts_at:%Y-%m-%d}." in said
    assert "minutes on two cores" in said
    assert "8 models in " in said
    assert "this home has trained no network yet" in said
    assert "survivors" in said if market is LONG else "price returns" in said


def test_every_packaged_market_is_listed_and_shown(market: Market) -> None:
    listed = CliRunner().invoke(app, ["list"], catch_exceptions=False).output
    assert all(f"{name} " in listed for name in ("demo", "packaged-long", "packaged-wide"))
    shown = CliRunner().invoke(app, ["show", market.name], catch_exceptions=False).output
    assert str(market.last_day) in shown
    assert "packaged-macro" in shown


def test_partitions_are_the_years_of_the_market() -> None:
    years = {each.name: years_of_market(each).get_partition_keys() for each in (DEMO, LONG, WIDE)}
    assert [(name, found[0], found[-1]) for name, found in years.items()] == [
        ("demo", "2000", "2013"),
        ("long", "2000", "2022"),
        ("wide", "2008", "2010"),
    ]


def test_a_market_of_ones_own_is_no_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Market("desk", source="file").write(tmp_path)
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path))
    settings.cache_clear()
    with pytest.raises(ConfigError, match="shows a packaged market, and this is the home of 'desk'"):
        demo(settings(), Console(file=StringIO()))
    settings.cache_clear()
