"""A file and a vendor of one market, by the tables that they fill; `tests/end_to_end/test_two_sources.py` forecasts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lake.assessment import assess, disagreement
from lake.clock import FixedClock
from lake.errors import ConfigError
from lake.ingest import ingest_sources, refine_to_lake
from lake.market import Market
from lake.report import Report
from lake.settings import Settings
from lake.sources import sources_of
from lake.store import Lake, newest_known
from lake.tables import AGREEMENT, BARS, QUALITY_SCORES, RAW_BARS
from support.two_sources import (
    CORRECTED,
    DISPUTED,
    INDEX,
    LATE,
    SYMBOLS,
    bars_of_both,
    closes_of_both,
    playing,
    write_prices,
)

SESSIONS = 60
CLOSES = closes_of_both(SESSIONS)["event_time"]
BOTH = bars_of_both(SESSIONS)
COLUMNS = {"layout": "long", "time": "Date", "time_format": "%Y-%m-%d", "symbol": "symbol", "delimiter": ","}


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Settings]:
    """Settings of a market that prefers the file, and decides an hour after each close."""
    numbers = {name: name for name in ("open", "high", "low", "close", "volume")}
    options = {"path": str(tmp_path / "prices.csv"), "price_basis": "as_traded", "index": INDEX, **COLUMNS, **numbers}
    market = Market("desk", "file", index=INDEX, first_year=2025, options=options, other_sources=("yahoo",))
    told = {"other_options": {"yahoo": {"symbols": [*SYMBOLS]}}, "decision_delay": 60}
    Market(**vars(market) | told).write(tmp_path / "home")
    with playing(BOTH) as url:
        yield Settings(home=tmp_path / "home", source_url=url, https_proxy=None)


def run(configured: Settings, at: datetime) -> tuple[Lake, Report]:
    """Ingest, refine and assess at an instant."""
    lake, clock = Lake.open(configured), FixedClock(at)
    report = ingest_sources(lake, sources_of(configured), clock)
    refine_to_lake(lake, clock)
    assess(lake, clock)
    return lake, report


def test_the_vendor_stands_in_and_the_file_replaces_it(configured: Settings, tmp_path: Path) -> None:
    write_prices(tmp_path / "prices.csv", BOTH, is_late=True)
    now = CLOSES[-1] + timedelta(hours=1)
    lake, report = run(configured, now)
    (currency,) = report.warnings
    assert currency.startswith("'yahoo' states its prices in USD, and the market declares no currency.")
    bars = newest_known(lake.read(BARS))
    assert bars.height == BOTH.height
    assert bars.filter(pl.col("source") == "yahoo").select("symbol", "event_time").rows() == [(LATE, CLOSES[-1])]
    assert set(lake.read(QUALITY_SCORES)["source"]) == {"file", "yahoo"}
    found = disagreement(lake, now)
    assert (found.compared, found.disagreeing, found.is_high) == (139, 20, True)
    assert {example["symbol"] for example in found.examples} == {DISPUTED}

    write_prices(tmp_path / "prices.csv", BOTH, corrected=SESSIONS - 3)
    later = now + timedelta(days=1)
    run(configured, later)
    versions = lake.read(BARS).filter(symbol=LATE, event_time=CLOSES[-1]).sort("known_time")
    assert versions.select("source", "known_time").rows() == [
        ("yahoo", CLOSES[-1] + timedelta(minutes=30)),
        ("file", later),
    ]
    changed = lake.read(BARS).filter(symbol=CORRECTED, event_time=CLOSES[-3]).sort("known_time")
    assert changed.select("source", "known_time").rows() == [("file", CLOSES[-3]), ("file", later)]
    apart = lake.read_as_of(AGREEMENT, later).filter(pl.col("agreeing") < pl.col("sources"), pl.col("field") == "close")
    assert set(apart["symbol"]) == {DISPUTED, CORRECTED}
    before = lake.versions([RAW_BARS, BARS, AGREEMENT, QUALITY_SCORES])
    run(configured, later + timedelta(days=1))
    assert lake.versions([RAW_BARS, BARS, AGREEMENT]) == {
        spec: before[spec] for spec in before if "quality" not in spec
    }


def test_each_source_is_in_time_by_what_the_market_says_of_it(configured: Settings, tmp_path: Path) -> None:
    write_prices(tmp_path / "prices.csv", BOTH)
    now = CLOSES[-1] + timedelta(hours=1)
    lake, _ = run(configured, now)
    assert lake.read(QUALITY_SCORES)["timeliness"].unique().to_list() == [1.0]
    Market(**vars(configured.declared_market) | {"timely_within": {"yahoo": 20}}).write(configured.home)
    run(configured, now + timedelta(minutes=1))
    scores = newest_known(lake.read(QUALITY_SCORES), ["source", "table", "event_time"])
    by_source = dict(scores.group_by("source").agg(pl.col("timeliness").max()).iter_rows())
    assert by_source == {"file": 1.0, "yahoo": 0.0}, "it has its bars half an hour after the close"
    with pytest.raises(ConfigError, match="names sources of the market"):
        Market("desk", "file", timely_within={"yahoo": 20})


def test_a_vendor_that_comes_after_the_decision_is_said(configured: Settings, tmp_path: Path) -> None:
    Market(**vars(configured.declared_market) | {"decision_delay": 0}).write(configured.home)
    write_prices(tmp_path / "prices.csv", BOTH, is_late=True)
    lake, report = run(configured, CLOSES[-1])
    assert newest_known(lake.read(BARS)).height == BOTH.height - 1
    warning = report.warnings[-1]
    assert "decided 0 minutes after it: what stands in comes too late for them. Set decision_delay: 30 in" in warning
