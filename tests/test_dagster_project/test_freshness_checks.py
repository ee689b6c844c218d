"""A table that ends before the last close due by the market's now warns, and blocks nothing."""

from datetime import datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from dagster_project.checks.freshness import NEWEST, TableFreshness, freshness, freshness_checks
from dagster_project.resources import Platform
from lake.calendars import next_closes
from lake.clock import DEMO_START, ReplayClock
from lake.market import CLOCK_FILE
from lake.settings import settings as read_settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS

MARKET = tiny_market(["AAPL", "IBM"], sessions=6, seed=4)


@pytest.fixture
def lake(home_of_environment) -> Lake:
    """A home that stands at the last close of 2012, with bars up to it."""
    opened = Lake.open(read_settings())
    opened.merge(BARS, MARKET)
    return opened


def checked(table: str) -> dg.AssetCheckResult:
    (check,) = (each for each in freshness_checks() if each.check_key.asset_key == dg.AssetKey(table))
    return check(Platform())


def move_to(at: datetime) -> None:
    ReplayClock(read_settings().home / CLOCK_FILE, DEMO_START).move_to(at)


def test_a_replayed_market_is_up_to_date_by_its_own_now(lake: Lake) -> None:
    assert MARKET["event_time"].max() == DEMO_START
    result = checked("bars")
    assert (result.passed, result.description) == (True, "newest 2012-12-31 21:00 UTC, the last close due")
    assert result.metadata["newest"] == result.metadata["due"] == dg.MetadataValue.timestamp(DEMO_START)


def test_a_market_that_went_on_says_how_far_its_table_is_behind_and_what_to_run(lake: Lake) -> None:
    first, second = next_closes(DEMO_START, 2)
    move_to(second - timedelta(minutes=1))
    assert freshness(Platform(), "bars").due == first, "the second session has not closed"
    move_to(second)
    result = checked("bars")
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.description == (
        "bars ends at 2012-12-31 21:00 UTC, 2 closes before the last one due, 2013-01-03 21:00 UTC. "
        "Next: `quantlake update`."
    )
    assert result.metadata["closes_behind"].value == 2


def test_a_symbol_that_lacks_the_last_close_is_named(lake: Lake) -> None:
    (close,) = next_closes(DEMO_START, 1)
    move_to(close)
    row = MARKET.filter(pl.col("symbol") == "IBM").tail(1)
    lake.merge(BARS, row.with_columns(event_time=pl.lit(close), known_time=pl.lit(close)))
    result = checked("bars")
    assert not result.passed
    assert result.description == (
        "bars lacks 1 symbol at 2013-01-02 21:00 UTC, the last close due: AAPL. Next: `quantlake update`."
    )


def test_a_table_without_rows_is_not_up_to_date(lake: Lake) -> None:
    result = checked("forecasts")
    assert not result.passed
    assert result.description.startswith("forecasts has no row, and the last close due is 2012-12-31 21:00 UTC. Next: ")


def test_the_online_store_is_asked_for_what_it_serves(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for newest, passes in ((DEMO_START, True), (DEMO_START - timedelta(days=3), False), (None, False)):
        monkeypatch.setattr("feature_repo.retrieval.newest_online", lambda _, newest=newest: newest)
        assert checked("online_store").passed is passes


def test_no_more_symbols_are_named_than_a_line_holds() -> None:
    found = TableFreshness("bars", DEMO_START, DEMO_START, 0, tuple(f"S{n}" for n in range(7)))
    assert ": S0, S1, S2, S3, S4 and 2 more. Next: " in found.sentence()


def test_before_the_first_close_nothing_is_due() -> None:
    found = TableFreshness("bars", None, None, 0)
    assert (found.is_current, found.sentence()) == (True, "no close is due yet")


def test_every_table_that_an_answer_rests_on_warns_and_does_not_block() -> None:
    checks = freshness_checks()
    assert {check.check_key.asset_key.to_user_string() for check in checks} == set(NEWEST)
    assert {"bars", "features_technical", "model_windows", "forecasts", "online_store"} == set(NEWEST)
    assert not any(spec.blocking for check in checks for spec in check.check_specs)
