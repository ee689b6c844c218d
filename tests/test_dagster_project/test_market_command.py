"""The verbs of `quantlake market`, and where `quantlake run` lets a market stand."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from dagster_project.commands.market import app
from dagster_project.commands.run import set_clock
from lake.clock import FixedClock, ReplayClock, SystemClock
from lake.errors import ConfigError, NotReadyError, SourceError, UnknownNameError
from lake.ingest import refine_to_lake
from lake.market import Market, market_of
from lake.membership import update_membership
from lake.names import Rename
from lake.settings import Settings, settings
from lake.sources import as_received, tiny_market
from lake.store import Lake
from lake.tables import BARS, RAW_BARS

LAST = datetime(2012, 12, 31, 21, tzinfo=UTC)
Say = Callable[..., Result]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Say]:
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    settings.cache_clear()
    yield lambda *arguments: CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    settings.cache_clear()


def price_file(folder: Path, symbols: tuple[str, ...] = ("AAA", "BRK.B", "NA"), written: str = "%Y-%m-%d") -> Path:
    bars = tiny_market(symbols, 300, seed=1)
    day = pl.col("event_time").dt.strftime(written).alias("Date")
    prices = bars.select(day, pl.col("symbol").alias("Ticker"), *(pl.col(n) for n in ("open", "high", "low", "close")))
    path = folder / "prices.csv"
    prices.with_columns(bars["volume"]).write_csv(path)
    return path


def test_a_price_file_becomes_a_market(say: Say, tmp_path: Path) -> None:
    said = say("new", "desk", "--from", str(price_file(tmp_path)))
    assert said.exit_code == 0, said.output
    assert "900 rows of 3 symbols to load, 2011-10-20 to 2012-12-31." in said.output
    assert "No row is refused." in said.output
    assert "Next: QUANTLAKE_MARKET=desk quantlake run" in said.output
    assert max(map(len, said.output.splitlines()[:25])) <= 80
    market = market_of(tmp_path / "home" / "markets" / "desk")
    assert (market.source, market.index, market.calendar, market.first_year) == ("file", "^EQUAL_WEIGHT", "XNYS", 2011)
    assert "desk" in say("list").output
    assert "^EQUAL_WEIGHT" in say("show", "desk").output
    checked = say("check", "desk")
    assert "900 rows of 3 symbols" in checked.output
    assert "Nothing was written." in checked.output


def test_a_dry_run_counts_rows_under_the_names_of_their_days(say: Say, tmp_path: Path) -> None:
    file = price_file(tmp_path)
    header, *rows = file.read_text().splitlines()
    told = [row.replace(",AAA,", ",OLD,") if row < "2012-06-01" else row for row in rows]
    file.write_text("\n".join([header, *told, told[0].replace(",OLD,", ",AAA,")]))
    assert say("new", "desk", "--from", str(file)).exit_code == 0
    home = tmp_path / "home" / "markets" / "desk"
    assert "901 rows of 4 symbols" in say("check", "desk").output
    replace(market_of(home), renames=(Rename("OLD", "AAA", date(2012, 6, 1)),)).write(home)
    said = say("check", "desk").output
    assert "900 rows of 3 symbols" in said
    assert "unknown_symbol: 1 row" in said, "AAA was another instrument before"


def test_splits_are_declared_beside_a_file(say: Say, tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_text("symbol,ex_date,ratio\nAAA,2012-06-01,2\n")
    settled = ("--set", "price_basis=split_adjusted", "--set", "splits=splits.csv")
    said = say("new", "desk", "--from", str(price_file(tmp_path)), *settled)
    assert said.exit_code == 0, said.output
    assert "1 split of 1 symbol" in said.output
    assert market_of(tmp_path / "home" / "markets" / "desk").options["splits"] == "splits.csv"
    assert "1 split of 1 symbol" in say("check", "desk").output


def test_the_currency_of_a_market_is_said_and_checked(say: Say, tmp_path: Path) -> None:
    file = str(price_file(tmp_path))
    with pytest.raises(ConfigError, match="ISO 4217"):
        say("new", "desk", "--from", file, "--currency", "pounds")
    assert not (tmp_path / "home" / "markets" / "desk" / "market.yaml").exists()
    assert say("new", "desk", "--from", file, "--currency", "GBP").exit_code == 0
    assert market_of(tmp_path / "home" / "markets" / "desk").currency == "GBP"
    assert "GBP" in say("show", "desk").output


def test_a_market_is_told_when_it_decides_and_when_a_symbol_is_gone(say: Say, tmp_path: Path) -> None:
    given = ("--set", "decision_delay=30", "--set", "delisted_after=5")
    said = say("new", "desk", "--from", str(price_file(tmp_path)), *given)
    assert said.exit_code == 0, said.output
    market = market_of(tmp_path / "home" / "markets" / "desk")
    assert (market.decision_delay, market.delisted_after) == (30, 5)
    assert "decision_delay" in say("show", "desk").output
    with pytest.raises(ConfigError, match=r"decision_delay is a whole number of minutes, e.g. decision_delay=30"):
        say("new", "other", "--from", str(price_file(tmp_path)), "--set", "decision_delay=soon")


def test_what_a_file_leaves_open_is_asked_and_nothing_is_written(say: Say, tmp_path: Path) -> None:
    bars = pl.DataFrame({"Date": ["01/02/2012", "02/03/2012", "03/04/2012"], "Close": ["10.5", "10.6", "10.7"]})
    bars.write_csv(tmp_path / "open.csv")
    said = say("new", "desk", "--from", str(tmp_path / "open.csv"))
    assert said.exit_code == 1
    assert "--set day_first=true" in said.output
    assert not (tmp_path / "home").exists()


def test_a_market_that_has_tables_is_not_declared_anew(say: Say, tmp_path: Path) -> None:
    file = str(price_file(tmp_path))
    assert say("new", "desk", "--from", file).exit_code == 0
    with pytest.raises(ConfigError, match="Edit it, or say --replace"):
        say("new", "desk", "--from", file)
    assert say("new", "desk", "--from", file, "--replace").exit_code == 0
    (tmp_path / "home" / "markets" / "desk" / "tables").mkdir()
    with pytest.raises(ConfigError, match="has tables already"):
        say("new", "desk", "--from", file, "--replace")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("new", "demo", "--from", "prices.csv"), "packaged market"),
        (("new", "Desk", "--from", "prices.csv"), "cannot be called"),
        (("new", "desk"), "either a file .* or a feed"),
        (("new", "desk", "--source", "yahoo"), "asked symbol by symbol"),
        (("new", "desk", "--source", "yaho", "--symbols", "A"), "no source 'yaho'. Did you mean yahoo"),
        (("new", "desk", "--source", "yahoo", "--symbols", "A", "--calendar", "XNYX"), "no calendar 'XNYX'.*XNYS"),
        (("check", "dsek"), "no market 'dsek'"),
        (("show", "dsek"), "no market 'dsek'"),
    ],
)
def test_what_cannot_be_declared_says_why(say: Say, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        say(*arguments)


def test_a_feed_is_declared_with_its_symbols_and_terms(say: Say, tmp_path: Path) -> None:
    said = say("new", "us", "--source", "alpha_vantage", "--symbols", "AAPL, MSFT", "--since", "2015")
    assert said.exit_code == 0, said.output
    assert "set ALPHAVANTAGE_API_KEY before" in said.output
    market = market_of(tmp_path / "home" / "markets" / "us")
    assert (market.source, market.options["symbols"], market.first_year) == ("alpha_vantage", ["AAPL", "MSFT"], 2015)
    assert market.decision_delay == 30 + 60, "an hour after the vendor publishes a session"
    assert say("new", "uk", "--source", "yahoo", "--symbols", "BP.L", "--set", "decision_delay=45").exit_code == 0
    assert market_of(tmp_path / "home" / "markets" / "uk").decision_delay == 45
    with pytest.raises(ConfigError, match=r"day_first is about a price file. Of a feed --set takes decision_delay"):
        say("new", "jp", "--source", "yahoo", "--symbols", "7203.T", "--set", "day_first=true")


def test_a_bar_that_nothing_explains_is_released_by_hand(say: Say, tmp_path: Path) -> None:
    home, symbol = tmp_path / "home", "AAA"
    Market("desk", source="file", clock="replay", starts_at=LAST, first_year=2012).write(home)
    bars = tiny_market((symbol, "^GSPC"), 20, seed=1)
    first = bars["event_time"].unique().sort()[15]
    jumps = (pl.col("symbol") == symbol) & (pl.col("event_time") >= first)
    prices = (
        pl.when(jumps).then(pl.col(name) * 10).otherwise(name).alias(name) for name in ("open", "high", "low", "close")
    )
    lake = Lake(home / "tables")
    lake.append(RAW_BARS, as_received(bars.with_columns(*prices)), batch_id="once")
    refused = refine_to_lake(lake, FixedClock(LAST))[2]
    assert refused.added == 5
    with pytest.raises(SourceError, match="The first that is"):
        say("release", symbol, "2012-12-03")
    said = say("release", symbol, f"{first:%Y-%m-%d}")
    assert f"5 rows of {symbol} released, from {first:%Y-%m-%d} on." in said.output
    assert refine_to_lake(lake, FixedClock(LAST + timedelta(minutes=1)))[0].added == 5


@pytest.fixture
def desk(tmp_path: Path) -> Settings:
    mapping = {"path": str(price_file(tmp_path)), "layout": "long", "time": "Date", "time_format": "%Y-%m-%d"}
    columns = {"symbol": "Ticker", "open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume"}
    options = {**mapping, **columns, "delimiter": ",", "price_basis": "split_adjusted", "interval": "1d"}
    Market("desk", source="file", index="^EQUAL_WEIGHT", first_year=2011, options=options).write(tmp_path / "desk")
    return Settings(home=tmp_path / "desk")


def test_a_file_that_ended_stands_at_its_last_close_and_a_fresh_one_at_the_wall_clock(
    desk: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(record=True, width=80)
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime(2013, 2, 1, 12, tzinfo=UTC))
    assert set_clock(desk, console, None) == desk.clock.now() == LAST
    assert "ends at the close of 2012-12-31, 21 sessions ago" in console.export_text()
    fresh = datetime(2013, 1, 3, 12, tzinfo=UTC)
    monkeypatch.setattr(SystemClock, "now", lambda _: fresh)
    assert set_clock(desk, console, None) == desk.clock.now() == fresh


def test_a_replay_stands_where_its_day_is_decided(desk: Settings) -> None:
    replace(market_of(desk.home), decision_delay=30).write(desk.home)
    at = datetime(2012, 6, 29, 20, 30, tzinfo=UTC)
    assert set_clock(desk, Console(width=80), date(2012, 6, 29)) == desk.clock.now() == at


def test_a_replay_stands_at_the_close_of_its_day_and_never_goes_back(desk: Settings) -> None:
    console = Console(width=80)
    assert set_clock(desk, console, date(2012, 6, 29)) == datetime(2012, 6, 29, 20, tzinfo=UTC)
    assert isinstance(desk.clock, ReplayClock)
    with pytest.raises(ConfigError, match="cannot go back"):
        set_clock(desk, console, date(2012, 6, 28))
    with pytest.raises(ConfigError, match="2012-07-04 is no session of XNYS"):
        set_clock(desk, console, date(2012, 7, 4))


def home_with_names(tmp_path: Path) -> Lake:
    """A market of three symbols and an index: one renamed, one that stopped coming."""
    bars = tiny_market(["AAA", "BBB", "CCC", "^DESK"], 40, seed=1)
    sessions = bars["event_time"].unique().sort()
    rename = Rename("OLD", "BBB", sessions[20].date(), reason="it was sold")
    home = tmp_path / "home" / "markets" / "desk"
    Market("desk", source="file", index="^DESK", renames=(rename,), options=OPTIONS).write(home)
    lake = Lake(home / "tables")
    lake.merge(BARS, bars.filter((pl.col("symbol") != "CCC") | (pl.col("event_time") < sessions[20])))
    update_membership(lake, FixedClock(LAST))
    return lake


OPTIONS = {
    "path": "prices.csv", "layout": "long", "symbol": "Ticker", "time": "Date", "time_format": "%Y-%m-%d",
    "close": "Close", "price_basis": "fully_adjusted", "interval": "1d",
}  # fmt: skip


def test_the_symbols_of_a_market_are_shown_with_their_names_and_who_left(say: Say, tmp_path: Path) -> None:
    home_with_names(tmp_path)
    said = say("symbols", "desk").output
    lines = {line.split()[0]: " ".join(line.split()) for line in said.splitlines() if line.strip()}
    assert max(map(len, said.partition("members as known")[0].splitlines())) <= 80
    assert lines["AAA"] == "AAA 2012-11-02 2012-12-31 yes"
    assert lines["BBB"] == "BBB 2012-11-02 2012-12-31 yes OLD until 2012-12-03"
    assert lines["CCC"] == "CCC 2012-11-02 2012-11-30 no coverage ended 2012-12-03"
    assert lines["^DESK"] == "^DESK 2012-11-02 2012-12-31 index"
    assert "2 members as known at" in said
    assert "1 of 3 symbols left the market: CCC." in " ".join(said.split())
    assert "OLD -> BBB 2012-12-03" in say("show", "desk").output


def test_a_market_says_how_it_is_known_when_its_bars_were_known(say: Say, tmp_path: Path) -> None:
    Market("new", source="file", index="^DESK", options=OPTIONS).write(tmp_path / "home" / "markets" / "new")
    home_with_names(tmp_path)
    assert "Time of knowledge" not in say("show", "new").output
    sentence = "Time of knowledge of 140 bars: 100 % stated by the source."
    assert sentence in " ".join(say("show", "desk").output.split())
    assert sentence in " ".join(say("symbols", "desk").output.split())


def test_the_symbols_of_a_market_are_told_to_a_program(say: Say, tmp_path: Path) -> None:
    home_with_names(tmp_path)
    told = {each["symbol"]: each for each in json.loads(say("symbols", "desk", "--json").output)}
    assert told["CCC"]["reason"] == "coverage_ended"
    assert (told["CCC"]["is_member"], told["CCC"]["ended"]) == (False, "2012-12-03")
    assert told["^DESK"]["is_index"]
    assert told["BBB"]["other_names"] == [{"name": "OLD", "from": None, "until": "2012-12-03", "reason": "it was sold"}]


def test_a_market_without_bars_says_what_to_run(say: Say) -> None:
    with pytest.raises(NotReadyError, match=r"'demo' has no bar yet. Run `make demo` first"):
        say("symbols")
