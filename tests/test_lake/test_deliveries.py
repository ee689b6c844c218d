"""The log of deliveries: what was asked, what came of it, and that nothing depends on it."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from lake.calendars import close_of
from lake.clock import FixedClock
from lake.errors import AuthError
from lake.ingest import coverage_of, ingest_bars, last_deliveries, refine_to_lake
from lake.sources import GeneratedMarket, PackagedMarket
from lake.store import Lake
from lake.tables import DELIVERIES, RAW_BARS
from support.vendors import SYMBOLS, Stand, stand_of

LAST = close_of(date(2012, 12, 31))
NOW = LAST + timedelta(hours=1)
FRIDAY, EARLIER = close_of(date(2012, 12, 28)), close_of(date(2012, 11, 1))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "tables")


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with stand_of("yahoo", tmp_path, NOW) as made:
        yield made


def test_a_source_without_a_network_leaves_one_row(lake: Lake) -> None:
    clock = FixedClock(datetime(2000, 3, 31, 21, tzinfo=UTC))
    added = ingest_bars(lake, PackagedMarket(), clock).added
    (row,) = lake.read(DELIVERIES).to_dicts()
    assert (row["subject"], row["outcome"], row["rows"], row["stored"]) == ("*", "answered", added, added)
    assert (row["since"], row["event_time"], row["requests"]) == (None, clock.at, None)


def test_each_symbol_of_a_vendor_has_its_row_and_its_failure(lake: Lake, stand: Stand) -> None:
    ingest_bars(lake, stand.source([*SYMBOLS, "NOPE"]), stand.time)
    log = {row["subject"]: row for row in lake.read(DELIVERIES).to_dicts()}
    assert {symbol: row["outcome"] for symbol, row in log.items()} == {
        **dict.fromkeys(SYMBOLS, "answered"),
        "NOPE": "unknown_symbol",
    }
    assert "NOPE" in log["NOPE"]["reason"]
    assert {row["requests"] for row in log.values()} == {5}
    assert sum(row["stored"] for row in log.values()) == lake.read(RAW_BARS).height


def test_a_refused_key_is_logged_and_still_an_error(lake: Lake, tmp_path: Path) -> None:
    with stand_of("polygon", tmp_path, NOW) as stand:
        stand.server.script("/", *stand.vendor.refuses_key)
        with pytest.raises(AuthError):
            ingest_bars(lake, stand.source(), stand.time)
    (last,) = last_deliveries(lake)
    assert (last["outcome"], last["rows"], last["failed"]) == ("auth", 0, 1)
    assert last["reason"]
    assert not lake.exists(RAW_BARS)


def test_covered_and_silent_is_told_from_not_asked(lake: Lake, stand: Stand) -> None:
    del stand.vendor.bars["IBM"][date(2012, 12, 28)]
    ingest_bars(lake, stand.source(), stand.time)
    assert coverage_of(lake, "yahoo", "AAPL", FRIDAY) == "rows"
    assert coverage_of(lake, "yahoo", "IBM", FRIDAY) == "silent"
    assert coverage_of(lake, "yahoo", "XOM", FRIDAY) == "not_asked"
    assert coverage_of(lake, "yahoo", "IBM", close_of(date(2013, 1, 2))) == "not_asked"


def test_the_log_may_be_lost_without_harm(lake: Lake) -> None:
    clock = FixedClock(LAST)
    source = GeneratedMarket.ending(symbols=2, sessions=5, until=LAST)
    ingest_bars(lake, source, clock)
    bars = [report.rows for report in refine_to_lake(lake, clock)]
    shutil.rmtree(lake.path(DELIVERIES))
    assert ingest_bars(lake, source, clock).skipped
    assert [report.rows for report in refine_to_lake(lake, clock)] == bars
    assert last_deliveries(lake) == []  # nothing newer could be asked for


def test_an_unchanged_pull_is_logged_and_stores_nothing(lake: Lake, stand: Stand) -> None:
    ingest_bars(lake, stand.source(), stand.time)
    version = lake.version(RAW_BARS)
    stand.time.sleep(3_600)
    ingest_bars(lake, stand.source(), stand.time)
    assert lake.version(RAW_BARS) == version
    assert [(each["outcome"], each["stored"]) for each in last_deliveries(lake)] == [("answered", 0)]
