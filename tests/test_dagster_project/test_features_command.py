"""`quantlake features`: what it prints, for people and for programs."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from dagster_project.commands.features import app
from feature_repo.catalog import GROUPS
from feature_repo.materialize import update_regimes, update_technical, update_windows
from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import materialize
from lake.clock import DEMO_START, FixedClock
from lake.settings import Settings
from lake.settings import settings as read_settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A home with technical features, which the environment names."""
    monkeypatch.setenv("QUANTLAKE_HOME", str(settings.home))
    read_settings.cache_clear()
    lake = Lake(settings.tables)
    lake.merge(BARS, tiny_market(["AAA", "BBB", MARKET], 60, 7))
    for update in (update_technical, update_regimes, update_windows):
        update(lake, FixedClock(DEMO_START))
    yield lake
    monkeypatch.undo()
    read_settings.cache_clear()


def said(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def test_list_names_every_feature_by_group() -> None:
    assert [one["feature"] for one in json.loads(said("list", "--json"))] == [f.name for g in GROUPS for f in g]
    shown = said("list", "--group", "technical")
    assert "technical: 29 features, served online, models read 25" in shown
    assert "rsi_14" in shown


def test_a_group_that_no_model_reads_is_called_that() -> None:
    read = {one["group"] for one in json.loads(said("list", "--json")) if one["read_by_models"]}
    for group in {g.name for g in GROUPS} - read:
        assert "no model reads them" in said("list", "--group", group)
    assert "technical" in read


def test_show_tells_the_formula_and_the_newest_values(home: Lake) -> None:
    shown = said("show", "rsi_14")
    assert "Wilder means of gains and losses" in shown
    assert "AAA" in shown
    told = json.loads(said("show", "rsi_14", "--symbols", "1", "--json"))
    assert (told["table"], [one["symbol"] for one in told["newest"]]) == ("features_technical", ["AAA"])


def test_show_says_what_is_not_made_yet(home: Lake) -> None:
    assert "'features_volume' is not made yet" in " ".join(said("show", GROUPS[1].features[0].name).split())


def test_an_unknown_name_raises_with_the_nearest() -> None:
    from lake.errors import UnknownNameError

    result = CliRunner().invoke(app, ["show", "rsi14"])
    assert isinstance(result.exception, UnknownNameError)
    assert "rsi_14" in str(result.exception)


def test_coverage_divides_by_year_or_by_symbol(home: Lake) -> None:
    assert "2012" in said("coverage")
    assert "least" in said("coverage", "--by", "symbol")
    told = json.loads(said("coverage", "--by", "symbol", "--json"))
    assert set(told[0]["by"]) == {"AAA", "BBB"}


def test_check_passes_on_what_was_just_made_and_compares_online(home: Lake, settings: Settings) -> None:
    assert "Online was not compared" in said("check")
    with running_redis(settings) as url:
        materialize(home, settings, DEMO_START)
        assert "agree in every bit" in said("check")
        from feature_repo.online import row_key
        from feature_repo.online.redis_server import connect

        with connect(url, 5.0) as server:
            server.delete(row_key("technical", "AAA"))
        shown = said("check", code=1)
    assert "rsi_14" in shown
    assert "missing" in shown
