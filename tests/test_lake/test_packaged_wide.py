"""The market `wide`: 524 names, their splits declared by hand, compared with another package."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from lake.calendars import closes
from lake.refine import Refined, find_actions, refine_bars
from lake.sources import PackagedMarket
from lake.sources.packaged import WIDE_BARS, DeclaredAction, Segment, adjusted_for
from lake.sources.packaged.demo import BOKEH
from lake.universe import MARKET

END = datetime(2030, 1, 1, tzinfo=UTC)
MISSING = [date(2009, 9, 8), *(date(2009, 10, day) for day in (29, 30)), *(date(2009, 11, day) for day in (2, 3, 4))]


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return PackagedMarket(WIDE_BARS).read(None, END).rows


@pytest.fixture(scope="module")
def refined(rows: pl.DataFrame) -> Refined:
    return refine_bars(rows)


def test_names_sessions_and_what_is_missing_are_as_declared(refined: Refined) -> None:
    names = refined.bars.filter(pl.col("symbol") != MARKET)
    assert names["symbol"].n_unique() == 524
    days = closes().filter(pl.col("session").is_between(date(2009, 8, 21), WIDE_BARS.last_day))["session"]
    seen = set(names["event_time"].dt.date())
    assert len(seen) == 245
    assert sorted(set(days) - seen) == [*MISSING, date(2010, 8, 18)]
    assert refined.bars.filter(pl.col("symbol") == MARKET).height == 504, "the index begins a year earlier"


def test_opens_outside_the_day_are_in_quarantine_and_nothing_else_is(refined: Refined) -> None:
    assert refined.quarantine["reason"].unique().to_list() == ["price_outside_range"]
    assert refined.quarantine.height == 78


@pytest.mark.parametrize("symbol", ["AAPL", "IBM", "MSFT"])
def test_closes_and_volumes_are_those_of_another_package(rows: pl.DataFrame, symbol: str) -> None:
    theirs = Segment(BOKEH, (symbol,)).rows(date(2009, 8, 21), WIDE_BARS.last_day)
    ours = rows.filter(pl.col("symbol") == symbol).with_columns(pl.col("stamp").str.head(10).alias("date"))
    both = ours.join(theirs, on="date").select(
        (pl.col(name).cast(pl.Float64) / pl.col(f"{name}_right").cast(pl.Float64)).alias(name)
        for name in ("close", "volume")
    )
    assert both.height > 240
    assert both["close"].median() == 1
    assert both.filter((pl.col("close") - 1).abs() > 1e-9).height <= 2, "two closes of IBM differ by half a per cent"
    assert both["volume"].median() == pytest.approx(1, abs=1e-4), "volume counts hundreds in the file"


def test_declared_actions_are_the_ones_that_are_seen(refined: Refined) -> None:
    actions = find_actions(refined.judged)
    assert actions["kind"].unique().to_list() == ["split"]
    assert dict(zip(actions["symbol"], actions["ratio"].round(2), strict=True)) == {
        "CAH": 1.37,
        "DHR": 2,
        "ESRX": 2,
        "ETFC": 0.1,
        "GIS": 2,
        "STR": 2.93,
        "WY": 2.66,
    }


def test_no_action_is_left_undeclared(refined: Refined) -> None:
    change = (pl.col("close") / pl.col("close").shift(1) - 1).over("symbol", order_by="event_time")
    moved = refined.bars.with_columns(change.alias("return")).filter(pl.col("return").abs() > 0.25)
    # Bids, earnings and a week that is missing: news that stands in the papers of these days.
    assert sorted(moved["symbol"]) == ["AIG", "AMZN", "ARG", "BDK", "BNI", "CCE", "DF", "MBI", "MFE", "NOVL", "RX"]


def test_what_a_share_has_become_is_worked_out_by_hand() -> None:
    rows = pl.DataFrame(
        {"symbol": ["A"] * 4 + ["B"], "date": [f"2010-01-0{day}" for day in (4, 5, 6, 7, 4)]}
        | {"close": ["10", "5", "3", "4", "7.50"]}
    )
    actions = (
        DeclaredAction("A", date(2010, 1, 5), ratio=2),
        DeclaredAction("A", date(2010, 1, 6), value=1.5),
    )
    adjusted = adjusted_for(actions, rows)["adj_close"].to_list()
    assert adjusted == ["10", "10.0", "9.0", "12.0", "7.50"], "2 shares of 3 and 1.50 each: 3 shares of 3 at that close"
