"""The tiny market is a market: seeded, valid, as wide as asked."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake.calendars import closes
from lake.clock import DEMO_START
from lake.errors import ConfigError
from lake.refine import refine_bars
from lake.sources import as_received, tiny_market
from lake.tables import BARS
from support.properties import examples
from support.raw_rows import plant_bad_rows


@examples(6)
@given(seed=st.integers(0, 2**32 - 1), symbols=st.integers(1, 5), sessions=st.integers(1, 80))
def test_every_bar_is_valid(seed: int, symbols: int, sessions: int) -> None:
    bars = tiny_market(symbols, sessions, seed)
    assert BARS.conform(bars).height == symbols * sessions
    assert refine_bars(as_received(bars)).quarantine.is_empty()
    assert (
        bars["event_time"].unique().sort().to_list()
        == closes().filter(pl.col("event_time") <= DEMO_START)["event_time"].tail(sessions).to_list()
    )


def test_the_same_seed_gives_the_same_market_and_another_another() -> None:
    assert_frame_equal(tiny_market(["A"], 30, seed=1), tiny_market(["A"], 30, seed=1))
    assert not tiny_market(["A"], 30, seed=1)["close"].equals(tiny_market(["A"], 30, seed=2)["close"])


def test_symbols_share_a_market() -> None:
    closes = tiny_market(40, 250, seed=3).pivot("symbol", index="event_time", values="close").drop("event_time")
    returns = closes.select(pl.all().log().diff()).drop_nulls()
    average = returns.mean_horizontal()
    assert average.std() > 0.005  # independent walks of 1.2 % would average out to 0.2 %


def test_five_thousand_symbols_are_one_call() -> None:
    bars = tiny_market(5_000, 20, seed=4)
    assert bars["symbol"].n_unique() == 5_000
    assert bars.height == 100_000


def test_a_calendar_too_short_is_said() -> None:
    with pytest.raises(ConfigError, match=r"calendar holds \d+ sessions before .* 99999 were asked for"):
        tiny_market(["A"], 99_999, seed=1)


def test_bad_rows_are_added_and_no_good_row_touched() -> None:
    raw = as_received(tiny_market(["A"], 30, seed=1))
    planted = plant_bad_rows(raw, seed=1, copies=2)
    assert planted.rows.height == raw.height + planted.expected.height
    good = planted.rows.join(planted.expected.select("row"), on="row", how="anti")
    assert_frame_equal(good.sort("row").drop("row"), raw.drop("row"))
