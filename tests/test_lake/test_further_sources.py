"""Further sources of a market as they are opened: what each is asked for, and the name that its rows bear."""

import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from lake.clock import DEMO_START, FixedClock
from lake.ingest import ingest_sources, refine_to_lake
from lake.market import Market
from lake.settings import Settings
from lake.sources import BarBatch, as_received, sources_of, tiny_market
from lake.sources.http import HttpBars
from lake.store import Lake
from lake.tables import BARS, DELIVERIES, RAW_BARS

FILE = {
    "path": str(Path(__file__).parents[1] / "fixtures" / "prices.csv"),
    "layout": "long",
    "time": "Date",
    "time_format": "%d.%m.%Y",
    "price_basis": "split_adjusted",
    "symbol": "Ticker",
    **{name.lower(): name for name in ("Open", "High", "Low", "Close", "Volume")},
    "delimiter": ";",
    "decimal_mark": ",",
    "thousands_mark": ".",
}
BARS_OF_BOTH = tiny_market(["AAA", "^GSPC"], sessions=10, seed=2)


def home_of(folder: Path, market: Market) -> Settings:
    market.write(folder)
    return Settings(home=folder)


def test_no_vendor_is_asked_for_an_index_that_the_file_has_made_of_it(tmp_path: Path) -> None:
    vendor = {"yahoo": {"symbols": ["AAA", "NA"]}}
    market = Market("desk", "file", index="^EQUAL_WEIGHT", options=FILE, other_sources=("yahoo",), other_options=vendor)
    asked = sources_of(home_of(tmp_path / "made", market))[1]
    assert isinstance(asked, HttpBars)
    assert asked.symbols == ("AAA", "NA")
    own = Market("desk", "file", index="NA", options=FILE | {"index": "NA"}, other_sources=("yahoo",))
    market = Market(**vars(own) | {"other_options": {"yahoo": {"symbols": ["AAA"]}}})
    asked = sources_of(home_of(tmp_path / "named", market))[1]
    assert isinstance(asked, HttpBars)
    assert asked.symbols == ("AAA", "NA")


def test_a_further_file_makes_no_index_under_the_name_of_the_true_one(tmp_path: Path) -> None:
    market = Market(
        "desk", "yahoo", options={"symbols": ["AAA"]}, other_sources=("file",), other_options={"file": FILE}
    )
    file = sources_of(home_of(tmp_path, market))[1]
    assert "^GSPC" not in set(file.read(None, DEMO_START).rows["symbol"])


class Own:
    """A source of one's own, which calls itself as it likes."""

    lookback = None

    def __init__(self, name: str, factor: float) -> None:
        self.name, self.factor = name, factor

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        scaled = BARS_OF_BOTH.with_columns(pl.col("open", "high", "low", "close") * self.factor)
        rows = as_received(scaled, batch_id=f"{self.name}:all").with_columns(pl.lit(self.name).alias("source"))
        is_new = pl.lit(value=True) if after is None else pl.col("event_time") > after
        return BarBatch(f"{self.name}:all", rows.filter(is_new, pl.col("known_time") <= until))


def test_sources_of_ones_own_keep_their_declared_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("feeds_of_a_user")
    module.__dict__.update(first=lambda: Own("mine", 1.0), second=lambda: Own("yours", 1.5))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    market = Market("desk", "feeds_of_a_user:first", first_year=2012, other_sources=("feeds_of_a_user:second",))
    configured = home_of(tmp_path, market)
    lake, clock = Lake.open(configured), FixedClock(DEMO_START)
    ingest_sources(lake, sources_of(configured), clock)
    refine_to_lake(lake, clock)
    bars = lake.read(BARS)
    assert (bars.height, bars["source"].unique().to_list()) == (BARS_OF_BOTH.height, ["mine"])
    declared = {"mine", "feeds_of_a_user:second"}
    assert set(lake.read(RAW_BARS)["source"]) == set(lake.read(DELIVERIES)["source"]) == declared
