"""The verbs of `quantlake sources`, against a server that plays the vendor."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result
from typer.testing import CliRunner

from dagster_project.commands.sources import app
from lake.clock import SystemClock
from lake.errors import ConfigError, UnknownNameError, UnknownSymbolError
from lake.settings import settings
from lake.sources import CONNECTORS, MACRO_SOURCES, SERIES, SOURCES, as_received, tiny_market
from lake.sources.replay import PlayedArchive
from lake.store import Lake
from lake.tables import DELIVERIES, MACRO, RAW_BARS
from support.replay_server import FaultyServer, VirtualTime
from support.vendors import Stand, stand_of

NOW = datetime(2012, 12, 31, 22, tzinfo=UTC)
Say = Callable[..., Result]


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand_of("polygon", tmp_path, NOW) as made:
        monkeypatch.setattr(SystemClock, "now", lambda _: made.time.now())
        monkeypatch.setattr("lake.sources.registry.time", SimpleNamespace(sleep=made.time.sleep))
        monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("QUANTLAKE_SOURCE_URL", made.server.url)
        monkeypatch.setenv("MASSIVE_API_KEY", str(made.vendor.key))
        settings.cache_clear()
        yield made
        settings.cache_clear()


@pytest.fixture
def say(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> Result:
        said = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert said.exit_code == 0, said.output
        assert str(stand.vendor.key) not in said.output
        return said

    return run


def test_the_list_fits_80_columns_and_says_what_each_source_needs(say: Say) -> None:
    said = say("list").output
    assert max(map(len, said.splitlines())) <= 80
    words = said.split()
    every = sorted([*SOURCES, *MACRO_SOURCES, *CONNECTORS, *SERIES])
    counted = [words.count(word) for word in ("stored", "empty", "ALPHAVANTAGE_API_KEY")]
    assert counted == [1, len(every), 1]  # none is broken
    assert "No contract and no right to redistribute" in said
    found = {each["source"]: each for each in json.loads(say("list", "--json").output)}
    assert sorted(found) == every
    assert (found["polygon"]["key"], found["polygon"]["has_key"]) == ("MASSIVE_API_KEY", True)
    assert (found["alpha_vantage"]["key"], found["alpha_vantage"]["has_key"]) == ("ALPHAVANTAGE_API_KEY", False)
    assert (found["yahoo"]["limits"], found["yahoo"]["stored"]) == ("1 a second", "empty")


def test_the_list_tells_real_rows_from_fixtures(say: Say) -> None:
    rows = as_received(tiny_market(["AAA"], sessions=3, seed=1))
    Lake.open().append(RAW_BARS, rows.with_columns(source=rows["source"] + "-x"), batch_id="tiny:0")
    assert "tiny-x" in [each["source"] for each in json.loads(say("status", "--json").output)]
    polygon = rows.with_columns(source=rows["source"].replace("tiny", "polygon"), batch_id=rows["batch_id"] + "1")
    synthetic = polygon.with_columns(licence=polygon["licence"].replace("MIT", "synthetic"))
    Lake.open().append(RAW_BARS, synthetic, batch_id="tiny:01")
    found = {each["source"]: each["stored"] for each in json.loads(say("list", "--json").output)}
    assert found["polygon"] == "fixture, 2012-12-27 to 2012-12-31"


def test_a_pull_stores_what_came_and_names_what_failed(say: Say) -> None:
    wanted = ("polygon", "--symbols", "AAPL,IBM,GOOG,META,MSFT,NOPE", "--since", "2012-12-20")
    dry = say("pull", *wanted, "--dry-run").output
    assert "Nothing is stored: this was a dry run." in dry
    assert not Lake.open().exists(RAW_BARS)
    said = say("pull", *wanted).output
    assert "NOPE failed, UnknownSymbolError: Polygon (Massive) has no bar of 'NOPE' in its whole history." in said
    assert "35 rows stored in raw_bars" in said
    assert Lake.open().read(RAW_BARS).height == 35
    assert "Nothing new was stored" in say("pull", *wanted).output
    found = {each["source"]: each["stored"] for each in json.loads(say("list", "--json").output)}
    assert found["polygon"] == "real, 2012-12-20 to 2012-12-31"


def test_the_status_says_what_is_stored_and_how_much_of_the_limits_is_used(say: Say) -> None:
    say("pull", "polygon", "--symbols", "AAPL", "--since", "2012-12-20")
    found = {each["source"]: each for each in json.loads(say("status", "--json").output)}
    assert (found["polygon"]["rows"], found["polygon"]["symbols"]) == (7, 1)
    assert found["polygon"]["used"] == "3 of 5 a minute"
    assert max(map(len, say("status").output.splitlines())) <= 80


def test_the_status_says_when_each_source_was_asked_last_and_what_came_of_it(say: Say, stand: Stand) -> None:
    say("pull", "polygon", "--symbols", "AAPL,GOOG,IBM,META,MSFT,NOPE", "--since", "2012-12-20")
    stand.time.sleep(7_300)
    said = say("status").output
    assert max(map(len, said.splitlines())) <= 80 or "Polygon (Massive) has no bar of 'NOPE'" in said
    row = next(line for line in said.splitlines() if "unknown symbol" in line)
    assert re.split(r"\s{2,}", row.strip()) == [
        "polygon",
        "2 h",
        "2012-12-31",
        "35",
        "35",
        "0",
        "unknown symbol, 1 of 6",
    ]
    found = {each["source"]: each for each in json.loads(say("status", "--json").output)}
    assert found["polygon"]["last_delivery"]["outcome"] == "unknown_symbol"
    assert found["yahoo"]["last_delivery"] is None


def test_a_vendor_that_there_is_none_of_is_refused(say: Say) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean yahoo\?"):
        say("pull", "yaho", "--symbols", "AAPL")


def test_a_replay_needs_no_key_and_no_network_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path / "home"))
    said = CliRunner().invoke(app, ["replay", "yahoo", "fred"], catch_exceptions=False).output
    rows = [re.split(r"\s{2,}", line.strip()) for line in said.splitlines()]
    assert [row for row in rows if row[0] in {"yahoo", "fred"}] == [
        ["yahoo", "a year", "5", "4", "1,150", "0"],
        ["yahoo", "the same again", "5", "4", "0", "0"],
        ["yahoo", "a session more", "5", "4", "6", "1"],
        ["fred", "vintages of GDP", "2", "0", "9", "0"],
    ]
    assert "They became 1,156 bars; 0 rows refused." in said
    assert [*tmp_path.iterdir()] == []


def test_a_replay_that_is_kept_is_a_home_of_its_own(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    said = CliRunner().invoke(app, ["replay", "polygon", "--home", str(kept)], catch_exceptions=False).output
    assert f"Kept in {kept}" in said
    assert Lake(kept / "tables").read(RAW_BARS)["source"].unique().to_list() == ["polygon"]
    with pytest.raises(ConfigError, match="is not empty: it is the home of a market"):
        CliRunner().invoke(app, ["replay", "--home", str(kept)], catch_exceptions=False)
    with pytest.raises(UnknownNameError, match=r"Did you mean yahoo\?"):
        CliRunner().invoke(app, ["replay", "yaho"], catch_exceptions=False)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with FaultyServer(VirtualTime(NOW), PlayedArchive().answer) as server:
        monkeypatch.setattr(SystemClock, "now", lambda _: NOW)
        monkeypatch.setenv("COLUMNS", "80")
        for name, value in {
            "QUANTLAKE_HOME": f"{tmp_path / 'home'}",
            "QUANTLAKE_SOURCE_URL": server.url,
            "FRED_API_KEY": "key",
        }.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        yield
        settings.cache_clear()


@pytest.mark.usefixtures("archive")
def test_a_pull_of_series_stores_every_vintage_once() -> None:
    def say(*arguments: str) -> str:
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False).output

    wanted = ("pull", "fred", "--series", "GDP")
    assert "Nothing is stored: this was a dry run." in say(*wanted, "--dry-run")
    said = say(*wanted)
    assert "9 rows stored in raw_macro, 9 rows in macro: what is known by 2012-12-31" in said
    assert Lake.open().read(MACRO).height == 9
    assert "Nothing new was stored: every value is stored already." in say(*wanted)
    found = {each["source"]: each for each in json.loads(say("list", "--json"))}
    assert (found["fred"]["fills"], found["fred"]["stored"]) == ("raw_macro", "real, 2008-09-30 to 2009-03-31")
    told = Lake.open().read(DELIVERIES)  # the clock of the test stands, and of two questions at once the first stays
    assert told.select("source", "table", "subject", "outcome", "rows", "stored").rows() == [
        ("fred", "raw_macro", "GDP", "answered", 9, 9)
    ]
    assert "fred" in say("status")
    with pytest.raises(UnknownSymbolError, match="There is no series 'GPD'"):
        say("pull", "fred", "--series", "GPD")
    assert Lake.open().read(DELIVERIES)["outcome"].to_list().count("unknown_symbol") == 1
    with pytest.raises(ConfigError, match="asked series by series, and none is named"):
        say("pull", "fred")
    with pytest.raises(ConfigError, match="'yahoo' has no economic series"):
        say("pull", "yahoo", "--series", "GDP")
