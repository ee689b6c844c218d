"""Two packaged sources of the same symbols: what files that were made apart from each other agree to."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from lake.refine import Chosen, refine_sources
from lake.sources import PackagedMarket
from lake.sources.packaged import DEMO_BARS, WIDE_BARS
from lake.universe import MARKET

END = datetime(2030, 1, 1, tzinfo=UTC)
NO_DIVIDEND = {
    ("IBM", date(2010, 2, 5)),  # closed at 123.52 in one file and at 122.97 in the other
    *((symbol, date(2010, 6, 4)) for symbol in ("AMD", "PFE")),  # closes in fractions of a cent in one of them
    *((symbol, date(2010, 6, 7)) for symbol in ("AMD", "NVDA")),
}
"""Returns that the files tell otherwise although no dividend was due."""


@pytest.fixture(scope="module")
def chosen() -> Chosen:
    first, second = (PackagedMarket(bars).read(None, END).rows for bars in (DEMO_BARS, WIDE_BARS))
    both = {*first["symbol"]} & {*second["symbol"]} - {MARKET}  # whose bars are of one file in both
    begin, end = second.select(pl.col("event_time").min().alias("a"), pl.col("event_time").max().alias("b")).row(0)
    raw = pl.concat([first, second]).filter(pl.col("symbol").is_in(both), pl.col("event_time").is_between(begin, end))
    return refine_sources(raw, [DEMO_BARS.name, WIDE_BARS.name])


def test_all_but_the_ex_dates_agree_to_a_basis_point(chosen: Chosen) -> None:
    returns = chosen.agreement.filter(pl.col("field") == "close")
    assert (returns.height, returns["symbol"].n_unique()) == (5_757, 24)
    apart = returns.filter(pl.col("agreeing") < 2)
    assert apart.height == 77
    assert (returns["spread_bp"] <= 1).mean() == pytest.approx(0.983, abs=5e-4)
    days = apart.sort("symbol", "event_time").select("symbol", pl.col("event_time").dt.date().alias("day"))
    assert {*days.rows()} >= NO_DIVIDEND
    dividends = days.join(pl.DataFrame([*NO_DIVIDEND], schema=days.schema, orient="row"), on=days.columns, how="anti")
    between = dividends.sort("symbol", "day").select(pl.col("day").diff().over("symbol").dt.total_days()).to_series()
    assert between.drop_nulls().is_between(60, 120).all(), "a dividend a quarter, which one of the sources leaves out"


def test_volumes_of_the_two_agree(chosen: Chosen) -> None:
    volumes = chosen.agreement.filter(pl.col("field") == "volume")
    assert volumes.height > 1_400
    assert (volumes["agreeing"] == 2).mean() > 0.99
