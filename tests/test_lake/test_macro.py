"""Economic series: a read as of an instant shows what was known then, to the vintage and the minute."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from lake.calendars import close_of
from lake.clock import DEMO_START, FixedClock
from lake.errors import MissingPackageError, UnknownNameError
from lake.ingest import ingest_macro, refine_macro_to_lake, store_macro
from lake.market import DEMO, Market
from lake.quality import check_table
from lake.refine import refine_macro
from lake.sources import MacroBatch, connector_of, fred, open_macro_source
from lake.sources.http import Fetcher, RequestCount
from lake.sources.macro import as_received_series, last_days
from lake.sources.packaged import PackagedMacro
from lake.sources.replay import PlayedArchive
from lake.store import Lake
from lake.tables import MACRO, QUARANTINE, RAW_MACRO
from support.replay_server import FaultyServer, VirtualTime

NEW_YORK = ZoneInfo("America/New_York")
QUARTER = date(2008, 10, 1)
NOW = datetime(2012, 12, 31, 22, tzinfo=UTC)
LAST = datetime(2024, 12, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def economy(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("economy"))
    ingest_macro(lake, PackagedMacro(), FixedClock(LAST))
    refine_macro_to_lake(lake, FixedClock(LAST))
    return lake


def at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, NEW_YORK)


def known(lake: Lake, series: str, instant: datetime) -> pl.DataFrame:
    return lake.read_as_of(MACRO, instant, where=pl.col("series") == series).sort("event_time")


def gdp(lake: Lake, instant: datetime) -> list[float | None]:
    """What was known of the fourth quarter of 2008 at an instant."""
    return known(lake, "GDP", instant).filter(pl.col("period") == QUARTER)["value"].to_list()


def test_a_quarter_is_known_as_it_was_told_at_each_instant(economy: Lake) -> None:
    # Bureau of Economic Analysis, 2009-01-30 08:30: "advance" 14,264.6 billion dollars at annual rates.
    release = at(date(2009, 1, 30), time(8, 30))
    assert gdp(economy, release - timedelta(minutes=1)) == []
    assert gdp(economy, release) == [14264.6]
    assert gdp(economy, at(date(2009, 2, 26), time(23, 59))) == [14264.6]
    assert gdp(economy, at(date(2009, 2, 27), time(8, 30))) == [14200.3]
    assert gdp(economy, at(date(2009, 7, 31), time(9))) == [14347.3]
    assert gdp(economy, at(date(2022, 1, 3), time(9))) == [14608.208]


def test_a_period_ends_on_its_last_day(economy: Lake) -> None:
    rows = known(economy, "GDP", LAST).filter(pl.col("period") == QUARTER)
    assert rows["event_time"].to_list() == [at(date(2008, 12, 31), time())]


def test_the_vix_and_the_curve_of_a_day_are_not_known_at_its_close(economy: Lake) -> None:
    day, before = date(2008, 11, 20), date(2008, 11, 19)
    close = close_of(day)
    for series, clock, value in (("VIX", time(16, 15), 80.86), ("TREASURY_10Y", time(18), 3.1)):
        newest = known(economy, series, close)["period"].to_list()[-1]
        assert newest == before, series
        told = at(day, clock)
        assert known(economy, series, told - timedelta(seconds=1))["period"].to_list()[-1] == before
        assert known(economy, series, told).tail(1)["value"].to_list() == [value]


@pytest.mark.parametrize(
    ("series", "day", "value"),
    [
        ("VIX", date(2020, 3, 16), 82.69),
        ("TREASURY_30Y", date(1990, 1, 2), 8.0),
        ("TREASURY_1M", date(2008, 12, 10), 0),
    ],
)
def test_known_values(economy: Lake, series: str, day: date, value: float) -> None:
    rows = known(economy, series, LAST).filter(pl.col("period") == day)
    assert rows["value"].to_list() == pytest.approx([value], abs=0.005)


def test_the_vix_is_that_of_another_package(economy: Lake) -> None:
    from arch.data import vix

    theirs = pl.DataFrame({"period": [day.date() for day in vix.load().index], "vix": vix.load()["vix"].to_list()})
    both = known(economy, "VIX", LAST).join(theirs.drop_nulls().filter(pl.col("vix").is_not_nan()), on="period")
    assert both.height > 1_200
    assert (both["value"] / both["vix"] - 1).abs().max() < 1e-3


def test_every_value_meets_the_suite_and_says_how_it_is_known(economy: Lake) -> None:
    for spec in (RAW_MACRO, MACRO):
        check_table(economy, spec, LAST).require_success()
    assert not economy.exists(QUARANTINE)
    rows = economy.read(MACRO)
    assumed = rows.filter(pl.col("known_basis") == "assumed")
    assert assumed["vintage_date"].unique().to_list() == [date(1991, 12, 4)], "the archive begins there"
    assert rows["known_basis"].unique().sort().to_list() == ["assumed", "scheduled"]


def test_day_by_day_is_what_comes_at_once_and_the_same_again_writes_nothing(economy: Lake, tmp_path: Path) -> None:
    lake, end = Lake(tmp_path), close_of(date(2009, 3, 3))
    for instant in (close_of(date(2009, 1, 29)), close_of(date(2009, 1, 30)), end):
        ingest_macro(lake, PackagedMacro(), FixedClock(instant))
        refine_macro_to_lake(lake, FixedClock(instant))
    columns = ["series", "event_time", "known_time", "value", "period", "vintage_date"]
    order = ["series", "event_time", "known_time"]
    slow, fast = lake.read(MACRO), economy.read(MACRO, where=pl.col("known_time") <= end)
    assert slow.select(columns).sort(order).equals(fast.select(columns).sort(order))
    versions = lake.versions((RAW_MACRO, MACRO))
    again = ingest_macro(lake, PackagedMacro(), FixedClock(end))
    assert (again.added, again.details["reason"]) == (0, "every value is stored already")
    assert refine_macro_to_lake(lake, FixedClock(end)).added == 0
    assert lake.versions((RAW_MACRO, MACRO)) == versions


def test_a_pull_from_the_archive_adds_vintages_once_and_agrees_with_what_is_packaged(tmp_path: Path) -> None:
    lake, clock = Lake(tmp_path / "lake"), FixedClock(NOW)
    ingest_macro(lake, PackagedMacro(), FixedClock(at(date(2009, 3, 2), time(9))))
    refine_macro_to_lake(lake, clock)
    before = gdp(lake, at(date(2009, 2, 1), time(9)))
    with FaultyServer(VirtualTime(NOW), PlayedArchive().answer) as server:
        count = RequestCount(tmp_path, (), server.time)
        fetcher = Fetcher(connector_of("fred"), count, base_url=server.url, secret="key", sleep=server.time.sleep)
        batches = [fred.pull(fetcher, ["GDP"]) for _ in range(2)]
    added = [store_macro(lake, batch).added for batch in batches]
    assert added == [9, 0], "nine vintages, and nothing new the second time"
    refine_macro_to_lake(lake, clock)
    assert gdp(lake, at(date(2009, 2, 1), time(9))) == before == [14264.6], "told by both, kept once"
    assert gdp(lake, at(date(2009, 9, 1), time(9))) == [14347.3], "a release that only the pull knows"
    withdrawn = known(lake, "GDP", at(date(2009, 2, 1), time(9))).filter(pl.col("period") == date(2008, 7, 1))
    assert withdrawn["value"].to_list() == [None], "a vintage that says nothing is not the one before"


def test_what_is_not_known_yet_waits_in_the_raw_table(tmp_path: Path) -> None:
    lake, early = Lake(tmp_path), at(date(2009, 2, 1), time(9))
    rows = PackagedMacro().read(at(date(2009, 1, 29), time(9)), at(date(2009, 3, 2), time(9))).rows
    store_macro(lake, MacroBatch("all:1", rows.with_columns(pl.lit("all:1").alias("batch_id"))))
    refine_macro_to_lake(lake, FixedClock(early))
    assert lake.read(MACRO)["known_time"].max() <= early
    refine_macro_to_lake(lake, FixedClock(at(date(2009, 3, 2), time(9))))
    assert lake.read(MACRO).height == rows.height


BAD = {
    "null_key": {"series": " "},
    "unreadable_time": {"period": "2008-13-01"},
    "known_before_it_happened": {"known_time": datetime(2008, 1, 1, tzinfo=UTC)},
    "unreadable_number": {"value": "14,264.6"},
    "not_a_number": {"value": "inf"},
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_value_is_refused_with_its_reason_and_the_others_are_not(reason: str, lake: Lake) -> None:
    rows = PackagedMacro().read(at(date(2009, 1, 30), time(8)), at(date(2009, 1, 30), time(9))).rows
    bad = {name: pl.lit(value).cast(RAW_MACRO.schema[name]) for name, value in BAD[reason].items()}
    batch = pl.concat([rows, rows.head(1).with_columns(pl.lit(9_999, dtype=pl.Int64).alias("row"), **bad)])
    assert refine_macro(rows).quarantine.is_empty()
    store_macro(lake, MacroBatch("bad:1", batch.with_columns(pl.lit("bad:1").alias("batch_id"))))
    report = refine_macro_to_lake(lake, FixedClock(DEMO_START))
    assert (report.added, report.details["refused"]) == (rows.height, 1)
    assert lake.read(QUARANTINE)["reason"].to_list() == [reason]


def test_the_length_of_a_period_follows_from_the_dates() -> None:
    days = [date(2020, 1, 3), date(2020, 1, 10)]
    months, years = [date(2020, 2, 1), date(2020, 3, 1)], [date(2019, 1, 1), date(2020, 1, 1)]
    names = pl.Series(["week", "week", "month", "month", "year", "year", "one"])
    periods = pl.Series([*days, *months, *years, date(2020, 5, 1)])
    ends = [end.astimezone(NEW_YORK).date() for end in last_days(names, periods)]
    assert ends == [*days, date(2020, 2, 29), date(2020, 3, 31), date(2019, 12, 31), date(2020, 12, 31), periods[-1]]


def test_without_the_data_package_the_market_goes_on_and_is_told_how_to_get_it(lake: Lake) -> None:
    class Absent:
        name = "packaged-macro"

        def read(self, after: datetime | None, until: datetime) -> MacroBatch:
            raise MissingPackageError(f"Not installed: `make setup` ({after}, {until}).")

    report = ingest_macro(lake, Absent(), FixedClock(DEMO_START))
    assert report.added == 0
    assert "`make setup`" in report.warnings[0]
    assert refine_macro_to_lake(lake, FixedClock(DEMO_START)).added == 0
    assert ingest_macro(lake, None, FixedClock(DEMO_START)).added == 0


def test_a_market_names_its_source_of_series_or_none() -> None:
    assert isinstance(open_macro_source(DEMO), PackagedMacro)
    assert open_macro_source(Market("desk")) is None
    with pytest.raises(UnknownNameError, match="source of economic series 'packaged-makro'"):
        open_macro_source(Market("desk", macro_source="packaged-makro"))


def test_rows_of_a_delivery_are_numbered_in_the_order_they_became_known() -> None:
    rows = PackagedMacro().read(None, datetime(1990, 1, 10, tzinfo=UTC)).rows
    assert rows["row"].to_list() == [*range(rows.height)]
    assert rows["known_time"].is_sorted()
    plain = rows.drop("source", "batch_id", "row", "received_at")
    assert as_received_series(plain, "x", "y")["batch_id"].unique().to_list() == ["y"]
