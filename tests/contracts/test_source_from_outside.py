"""A source from outside: a class in a module of its own, named by a setting, and no edit of the package."""

import sys
from datetime import datetime
from types import ModuleType

import dagster as dg
import polars as pl
import pytest

from dagster_project.definitions import defs
from lake.clock import DEMO_START
from lake.errors import ConfigError, UnknownNameError
from lake.market import Market
from lake.settings import Settings
from lake.settings import settings as read_settings
from lake.sources import as_received, tiny_market
from lake.sources.base import BarBatch
from lake.sources.registry import caveats_of, open_source
from lake.store import Lake
from lake.tables import BARS, RAW_BARS
from support.raw_rows import RowSource

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
ASSETS = ("raw_bars", "bars", "actions", "quarantine", "symbols", "universe")


class ThrowAwaySource:
    """Eight sessions of one symbol that nobody else has."""

    name = "throw-away"

    def __init__(self) -> None:
        rows = as_received(tiny_market(["ZZZ"], sessions=8, seed=3))
        self._rows = RowSource(rows.with_columns(pl.lit(self.name).alias("source")))

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``."""
        return self._rows.read(after, until)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("a_module_of_a_user")
    made.__dict__.update(ThrowAwaySource=ThrowAwaySource, NotASource=object)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def test_the_asset_graph_reads_the_source_that_a_setting_names(
    settings: Settings, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANTLAKE_HOME", str(settings.home))
    monkeypatch.setenv("QUANTLAKE_SOURCE", f"{module.__name__}:ThrowAwaySource")
    read_settings.cache_clear()
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            result = defs.resolve_job_def("everything").execute_in_process(
                instance=instance,
                tags={"dagster/asset_partition_range_start": "2011", "dagster/asset_partition_range_end": "2012"},
                asset_selection=[dg.AssetKey(name) for name in ASSETS],
                run_config={"loggers": {"progress": {}}},
            )
    finally:
        read_settings.cache_clear()
    assert result.success
    lake = Lake.open(settings)
    assert lake.read(RAW_BARS)["symbol"].unique().to_list() == ["ZZZ"]
    bars = lake.read(BARS)
    assert (bars.height, bars["event_time"].max()) == (8, DEMO_START)


@pytest.mark.usefixtures("module")
def test_a_source_that_says_nothing_of_its_bars_has_no_caveats() -> None:
    assert caveats_of("a_module_of_a_user:ThrowAwaySource") == ()


def test_a_name_that_there_is_none_of_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"There is no source 'packagd'\. Did you mean packaged\b"):
        open_source("packagd")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Source", "cannot be imported: No module named 'no_such_module'"),
        ("a_module_of_a_user:Nothing", "cannot be imported: .*has no attribute 'Nothing'"),
        ("a_module_of_a_user:NotASource", "what it makes has no name and no read"),
    ],
)
@pytest.mark.usefixtures("module")
def test_what_is_no_source_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_source(name)


def test_a_source_of_ones_own_is_given_its_market_if_it_takes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class OfMarket(ThrowAwaySource):
        def __init__(self, market: Market) -> None:
            super().__init__()
            self.market = market

    def by_position(declared: Market, /) -> OfMarket:
        return OfMarket(declared)

    def maybe(market: Market | None = None) -> OfMarket:
        assert market is not None
        return OfMarket(market)

    def of_something_else(path: str = "prices.csv") -> ThrowAwaySource:
        assert path == "prices.csv"
        return ThrowAwaySource()

    made = ModuleType("another_module_of_a_user")
    made.__dict__.update(OfMarket=OfMarket, by_position=by_position, maybe=maybe, of_something_else=of_something_else)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    desk = Market("desk", source=f"{made.__name__}:OfMarket", calendar="XLON")
    for name in ("OfMarket", "by_position", "maybe"):
        assert open_source(f"{made.__name__}:{name}", desk).market is desk
    assert open_source(f"{made.__name__}:of_something_else", desk).name == "throw-away"
