"""What everyone can look up about these markets, found again in `bars`."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from lake.calendars import close_of
from lake.clock import DEMO_START
from lake.store import Lake
from lake.tables import ACTIONS, BARS, QUARANTINE, RAW_BARS
from lake.universe import INSTRUMENTS, MARKET, SYMBOLS


@pytest.fixture(scope="module")
def bars(packaged_lake: Lake) -> pl.DataFrame:
    return packaged_lake.read_as_of(BARS, DEMO_START)


@pytest.fixture(scope="module")
def returns(bars: pl.DataFrame) -> pl.DataFrame:
    change = (pl.col("close") / pl.col("close").shift(1) - 1).over("symbol", order_by="event_time")
    return bars.with_columns(change.alias("return"))


def test_every_instrument_is_there_with_what_it_can_support(bars: pl.DataFrame) -> None:
    quality = dict(bars.group_by("symbol").agg(pl.col("quality").unique()).iter_rows())
    assert quality == {MARKET: ["full"]} | {item.symbol: [item.quality] for item in INSTRUMENTS}
    assert len(SYMBOLS) == 25


def test_nothing_after_2012_is_read(packaged_lake: Lake) -> None:
    for table in (RAW_BARS, BARS, ACTIONS):
        assert packaged_lake.report(table).last <= DEMO_START
        assert packaged_lake.read(table)["known_time"].max() <= DEMO_START


@pytest.mark.parametrize(
    ("symbol", "session", "name", "value"),
    [
        ("GOOG", date(2004, 8, 19), "close_unadjusted", 100.335),  # first day of trading
        ("META", date(2012, 5, 18), "close_unadjusted", 38.23),  # first day of trading
        (MARKET, date(2010, 5, 6), "low", 1065.79),  # the flash crash
    ],
)
def test_known_prices(bars: pl.DataFrame, symbol: str, session: date, name: str, value: float) -> None:
    found = bars.filter((pl.col("symbol") == symbol) & (pl.col("event_time") == close_of(session)))
    assert found[name].to_list() == pytest.approx([value], abs=0.005)


@pytest.mark.parametrize("symbol", ["GOOG", "META"])
def test_no_bar_before_the_first_day_of_trading(bars: pl.DataFrame, symbol: str) -> None:
    first = {"GOOG": date(2004, 8, 19), "META": date(2012, 5, 18)}[symbol]
    assert bars.filter(pl.col("symbol") == symbol)["event_time"].min() == close_of(first)


@pytest.mark.parametrize(
    ("symbol", "session", "percent"),
    [
        (MARKET, date(2008, 10, 15), -9.03),
        (MARKET, date(2008, 12, 1), -8.93),
        (MARKET, date(2008, 9, 29), -8.81),
        ("AAPL", date(2000, 9, 29), -51.9),
    ],
)
def test_known_returns(returns: pl.DataFrame, symbol: str, session: date, percent: float) -> None:
    found = returns.filter((pl.col("symbol") == symbol) & (pl.col("event_time") == close_of(session)))
    assert found["return"].item() * 100 == pytest.approx(percent, abs=0.05)


def test_no_session_is_missing_and_none_is_invented(bars: pl.DataFrame) -> None:
    from lake.calendars import closes

    expected = closes().filter(pl.col("session").is_between(date(2000, 3, 1), date(2012, 12, 31)))["event_time"]
    for symbol, stamps in bars.group_by("symbol").agg("event_time").iter_rows():
        first = min(stamps)
        assert sorted(stamps) == [stamp for stamp in expected if stamp >= first], symbol


def test_the_packaged_market_has_no_bad_row(packaged_lake: Lake) -> None:
    assert packaged_lake.read(QUARANTINE).is_empty()
    assert packaged_lake.report(RAW_BARS).rows == packaged_lake.report(BARS).rows


def test_early_closes_are_stamped_at_one_o_clock(bars: pl.DataFrame) -> None:
    thanksgiving_friday = datetime(2012, 11, 23, 18, 0, tzinfo=UTC)
    assert bars.filter(pl.col("event_time") == thanksgiving_friday).height == len(SYMBOLS) + 1
