"""A market is a declared value that lies in its home: whatever opens the home works on that market and no other."""

import ast
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.calendars import close_of
from lake.clock import DEMO_START, ReplayClock, SystemClock
from lake.errors import ConfigError, TableNotFoundError, UnknownNameError
from lake.market import DEMO, LONG, Market, declare_packaged, home_of, known_markets, market_of, open_clock
from lake.settings import market_root, settings
from lake.store import Lake
from lake.tables import BARS

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=20)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@given(
    name=NAMES,
    index=TEXTS,
    calendar=st.sampled_from(["XNYS", "XTKS", "24/7"]),
    first_year=st.integers(1998, 2030),
    last_day=st.none() | st.dates(),
    symbols=st.lists(TEXTS, max_size=4).map(tuple),
    options=st.dictionaries(TEXTS, TEXTS | st.integers() | st.booleans(), max_size=4),
    starts_at=st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001 - hypothesis takes bounds without a zone
)
def test_what_is_declared_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, **values: object) -> None:
    home = tmp_path_factory.mktemp("home")
    market = Market(clock="replay", **values)  # type: ignore[arg-type] # drawn
    market.write(home)
    assert market_of(home) == market


WHOLE = "name: desk\nsource: file\nindex: ^DESK\ncalendar: XNYS\nfirst_year: 2020\n"


@pytest.mark.parametrize("name", ["", "Desk", "a b", "../up", "ä"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be called"):
        Market(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a", "must hold keys and values"),
        ("calendar: XNYS", "name, source, index, first_year among them"),
        (f"{WHOLE}calender: XNYS", "Did you mean 'calendar'"),
        (f"{WHOLE}clock: replay", "does not say from where"),
        (f"{WHOLE}clock: replayed", "clock: Input should be 'replay' or 'system', got 'replayed'"),
        (f"{WHOLE}symbols: AAPL", "symbols: Input should be a valid tuple"),
        (f"{WHOLE}symbols: [ON]", "symbols.0: Input should be a valid string, got True"),
        (f"{WHOLE}options:", "options: Input should be a valid"),
        (WHOLE.replace("desk", "7"), "name: Input should be a valid string, got 7"),
        ("a: b: c", "is not YAML"),
    ],
)
def test_a_declaration_that_is_none_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "market.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        market_of(tmp_path)


def test_a_home_that_moves_takes_its_market_along(tmp_path: Path) -> None:
    Market("desk", source="file", index="^DESK").write(tmp_path / "old")
    assert Lake(tmp_path / "old" / "tables").market.name == "desk"
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert Lake(tmp_path / "new" / "tables").market.index == "^DESK"
    assert Lake(tmp_path / "old" / "tables").market == DEMO


def test_an_edited_declaration_counts_at_once(tmp_path: Path) -> None:
    Market("desk", calendar="XLON").write(tmp_path)
    assert market_of(tmp_path).calendar == "XLON"
    Market("desk", calendar="XTKS").write(tmp_path)
    assert market_of(tmp_path).calendar == "XTKS"


def test_each_market_has_a_home_of_its_own(tmp_path: Path) -> None:
    assert home_of(tmp_path, None) == home_of(tmp_path, "demo") == tmp_path
    desk = home_of(tmp_path, "desk")
    assert desk == tmp_path / "markets" / "desk"
    Market("desk").write(desk)
    assert home_of(desk, "desk") == desk, "a child process is told the home itself"
    with pytest.raises(ConfigError, match="is the home of the market 'desk'"):
        home_of(desk, "demo")
    packaged = {name: tmp_path / "markets" / name for name in ("long", "wide", "btc")}
    assert known_markets(tmp_path) == {"demo": tmp_path, "desk": desk} | packaged
    assert [market_of(home).name for home in known_markets(tmp_path).values()] == [
        "demo",
        "long",
        "wide",
        "btc",
        "desk",
    ]
    assert known_markets(desk) == {"desk": desk}


def test_the_home_of_a_packaged_market_is_known_by_its_place_until_it_is_declared_and_then_everywhere(
    tmp_path: Path,
) -> None:
    home = home_of(tmp_path, "long")
    assert open_clock(home).now() == close_of(date(2021, 12, 31))
    declare_packaged(home)
    moved = home.rename(tmp_path / "elsewhere")
    assert market_of(moved) == LONG
    assert open_clock(moved).now() == close_of(date(2021, 12, 31))
    declare_packaged(tmp_path)
    assert not (tmp_path / "market.yaml").exists(), "the default needs none"


def test_a_declaration_of_before_there_were_intervals_is_of_a_daily_market(tmp_path: Path) -> None:
    (tmp_path / "market.yaml").write_text(WHOLE, encoding="utf-8")
    market = market_of(tmp_path)
    assert (market.interval, market.grid, market.horizon_bars) == ("1d", "XNYS", (1, 5))


def test_the_clock_of_a_live_market_is_the_wall_clock_unless_it_is_replayed(tmp_path: Path) -> None:
    assert open_clock(tmp_path / "none").now() == DEMO_START
    Market("desk").write(tmp_path)
    assert isinstance(open_clock(tmp_path), SystemClock)
    ReplayClock(tmp_path / "clock.json", DEMO_START).move_to(DEMO_START)
    assert open_clock(tmp_path).now() == DEMO_START


def test_a_replayed_market_stands_where_it_is_declared_to_begin(tmp_path: Path) -> None:
    start = datetime(2021, 12, 31, 21, tzinfo=UTC)
    Market("long", clock="replay", starts_at=start, last_day=date(2022, 12, 28)).write(tmp_path)
    assert open_clock(tmp_path).now() == start


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_settings_lead_to_the_home_of_the_market(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Market("desk", source="file").write(environment / "markets" / "desk")
    monkeypatch.setenv("QUANTLAKE_MARKET", "desk")
    found = settings()
    assert (found.home, found.declared_market.name, found.source_name) == (
        environment / "markets" / "desk",
        "desk",
        "file",
    )
    assert market_root() == environment
    settings.cache_clear()
    monkeypatch.setenv("QUANTLAKE_HOME", str(found.home))  # as a child process is started
    assert settings().home == found.home


def test_a_market_that_was_never_declared_is_refused(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Market("desk").write(environment / "markets" / "desk")
    monkeypatch.setenv("QUANTLAKE_MARKET", "dsek")
    with pytest.raises(UnknownNameError, match=r"There is no market 'dsek'. Did you mean desk"):
        settings()
    assert not (environment / "markets" / "dsek").exists()


def test_a_message_names_the_markets_own_next_command(tmp_path: Path) -> None:
    declared = Market("desk", source="file")
    assert (DEMO.first_run, DEMO.next_run) == ("make demo", "quantlake advance")
    assert (declared.first_run, declared.next_run) == ("QUANTLAKE_MARKET=desk quantlake run",) * 2
    replayed = Market("desk", clock="replay", starts_at=DEMO_START)
    assert replayed.next_run == "QUANTLAKE_MARKET=desk quantlake advance"
    declared.write(tmp_path)
    with pytest.raises(TableNotFoundError, match="Make it with `QUANTLAKE_MARKET=desk quantlake run`"):
        Lake(tmp_path / "tables").read(BARS)


COMMANDS = re.compile(r"(make|quantlake) (demo|advance)\b")
MAY_NAME_THEM = {
    "lake/market/value.py",  # where they come from
    "dagster_project/commands/demo.py",  # runs on the packaged market only
    "dagster_project/commands/shell/stopping.py",  # asks which market it is first
    "dagster_project/selections.py",  # describes jobs, of whatever market
    "serving/api/problem_kinds.py",  # describes kinds of problems, of whatever market
}


def test_no_other_message_names_the_packaged_markets_commands() -> None:
    root = Path(__file__).parents[2]
    named = []
    for room in ("lake", "feature_repo", "training", "serving", "dagster_project"):
        for path in sorted((root / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
            named += [path.relative_to(root).as_posix() for text in texts if COMMANDS.search(str(text.value))]
    assert set(named) <= MAY_NAME_THEM
