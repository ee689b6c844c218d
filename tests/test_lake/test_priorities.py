"""Several sources of one market: one bar per session, from the preferred source, and a figure of how far they agree."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.assessment import disagreement
from lake.clock import DEMO_START, FixedClock
from lake.errors import OutageError
from lake.ingest import ingest_sources, last_deliveries, refine_to_lake
from lake.market import Market
from lake.sources import BarBatch, BarSource, as_received, tiny_market
from lake.store import Lake, newest_known
from lake.tables import AGREEMENT, BARS, QUARANTINE, RAW_BARS

SYMBOLS = ["AAA", "BBB", "^GSPC"]
MARKET = tiny_market(SYMBOLS, sessions=40, seed=3)
CLOSES = MARKET["event_time"].unique().sort().to_list()
NOW = FixedClock(DEMO_START + timedelta(days=1))


class Told:
    """A source that tells given bars, on a basis of its own, offered whole each time."""

    lookback = None

    def __init__(self, name: str, bars: pl.DataFrame, *, basis: float = 1.0, is_down: bool = False) -> None:
        self.name, self.is_down = name, is_down
        prices = [pl.col(each) * basis for each in ("open", "high", "low", "close", "close_unadjusted")]
        volumes = [pl.col(each) / basis for each in ("volume", "volume_unadjusted")]
        self.bars = bars.with_columns(*prices, *volumes)

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        if self.is_down:
            raise OutageError(f"{self.name} does not answer.")
        rows = as_received(self.bars, batch_id=f"{self.name}:{until:%Y%m%dT%H%M}").with_columns(
            pl.lit(self.name).alias("source")
        )
        is_in = pl.col("known_time") <= until
        return BarBatch(
            f"{self.name}:{until:%Y%m%dT%H%M}",
            rows.filter(is_in if after is None else is_in & (pl.col("event_time") > after)),
        )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    Market("desk", "first", first_year=2012, other_sources=("second", "third")).write(tmp_path)
    return Lake(tmp_path / "tables")


def run(lake: Lake, *sources: BarSource, at: timedelta = timedelta(0)) -> pl.DataFrame:
    """Ingest and refine; return the newest version of each bar."""
    clock = FixedClock(NOW.at + at)
    ingest_sources(lake, sources, clock)
    refine_to_lake(lake, clock)
    return newest_known(lake.read(BARS)).sort("symbol", "event_time")


def without(bars: pl.DataFrame, closes: Sequence[datetime], symbol: str = "AAA") -> pl.DataFrame:
    return bars.filter(~((pl.col("symbol") == symbol) & pl.col("event_time").is_in(closes)))


def test_the_preferred_source_gives_each_bar_and_both_are_kept_raw(lake: Lake) -> None:
    bars = run(lake, Told("first", MARKET), Told("second", MARKET, basis=7.0))
    assert bars["source"].unique().to_list() == ["first"]
    assert_frame_equal(bars["close"].to_frame(), MARKET.sort("symbol", "event_time")["close"].to_frame(), rel_tol=1e-9)
    assert lake.read(RAW_BARS).height == 2 * MARKET.height
    assert not lake.read(QUARANTINE).height


def test_the_second_source_stands_in_on_the_basis_of_the_first(lake: Lake) -> None:
    gap = CLOSES[20:23]
    bars = run(lake, Told("first", without(MARKET, gap)), Told("second", MARKET, basis=7.0))
    assert bars.filter(pl.col("source") == "second")["event_time"].to_list() == gap
    expected = MARKET.sort("symbol", "event_time")
    assert_frame_equal(
        bars.select("symbol", "event_time", "close"), expected.select("symbol", "event_time", "close"), rel_tol=1e-6
    )
    money = bars["close"] * bars["volume"]
    assert_frame_equal(money.to_frame(), (expected["close"] * expected["volume"]).to_frame(), rel_tol=1e-6)


def test_a_symbol_that_the_first_source_lacks_is_taken_as_the_second_tells_it(lake: Lake) -> None:
    bars = run(lake, Told("first", MARKET.filter(pl.col("symbol") != "BBB")), Told("second", MARKET, basis=7.0))
    own = bars.filter(pl.col("symbol") == "BBB")
    assert own["source"].unique().to_list() == ["second"]
    assert bars.height == MARKET.height


def test_a_late_bar_of_the_first_source_restates_from_then(lake: Lake) -> None:
    gap = CLOSES[-3:]
    wrong = MARKET.with_columns(
        pl.when((pl.col("symbol") == "AAA") & (pl.col("event_time") == gap[0]))
        .then(pl.col("close") * 0.999)
        .otherwise(pl.col("close"))
        .alias("close")
    ).with_columns(pl.min_horizontal("low", "close").alias("low"))
    run(lake, Told("first", without(MARKET, gap)), Told("second", wrong))
    later = timedelta(days=2)
    bars = run(lake, Told("first", MARKET), Told("second", wrong), at=later)
    assert bars.filter(symbol="AAA", event_time=gap[0])["source"].to_list() == ["first"]
    versions = lake.read(BARS).filter(symbol="AAA", event_time=gap[0]).sort("known_time")
    assert versions["source"].to_list() == ["second", "first"]
    assert versions["known_time"][1] >= NOW.at + later
    before = lake.versions([BARS, AGREEMENT])
    run(lake, Told("first", MARKET), Told("second", wrong), at=2 * later)
    assert lake.versions([BARS, AGREEMENT]) == before


def test_a_preferred_source_that_joins_later_is_known_from_then(lake: Lake) -> None:
    other = MARKET.with_columns(pl.col("close") * 0.999).with_columns(pl.min_horizontal("low", "close").alias("low"))
    before = run(lake, Told("second", other))
    joined = timedelta(days=2)
    bars = run(lake, Told("first", MARKET), Told("second", other), at=joined)
    assert bars["source"].unique().to_list() == ["first"]
    assert bars["known_time"].min() >= NOW.at + joined
    then = lake.read_as_of(BARS, NOW.at + timedelta(days=1))
    assert_frame_equal(then.sort("symbol", "event_time"), before)


def test_every_session_that_any_source_has_gets_its_bar(lake: Lake) -> None:
    first = without(without(MARKET, CLOSES[:5]), CLOSES[30:], "BBB")
    second = without(without(MARKET, CLOSES[10:20]), CLOSES[::2], "BBB")
    third = without(MARKET, CLOSES[3:33], "BBB")
    bars = run(lake, Told("first", first), Told("second", second, basis=3.0), Told("third", third, basis=0.5))
    keys = pl.concat([each.select("symbol", "event_time") for each in (first, second, third)]).unique()
    assert_frame_equal(bars.select("symbol", "event_time"), keys.sort("symbol", "event_time"))
    told = lake.read(RAW_BARS).height
    assert told == first.height + second.height + third.height


def test_planted_disagreements_are_found_and_bases_are_none(lake: Lake) -> None:
    odd = CLOSES[20]
    moved = MARKET.with_columns(
        pl.when((pl.col("symbol") == "AAA") & (pl.col("event_time") >= odd))
        .then(pl.col("close") * 0.998)
        .otherwise(pl.col("close"))
        .alias("close")
    ).with_columns(pl.min_horizontal("low", "close").alias("low"))
    run(lake, Told("first", MARKET), Told("second", moved, basis=7.0), Told("third", MARKET, basis=2.0))
    found = lake.read(AGREEMENT)
    assert found.filter(field="close").height == MARKET.height - len(SYMBOLS)
    assert found["sources"].unique().to_list() == [3]
    alarm = disagreement(lake, NOW.at, sessions=30)
    assert (alarm.compared, alarm.disagreeing, alarm.is_high) == (90, 1, False)
    assert disagreement(lake, NOW.at, sessions=len(CLOSES)).examples[0]["symbol"] == "AAA"
    apart = found.filter(pl.col("agreeing") < 3, field="close")
    assert apart.select("symbol", "event_time", "agreeing", "chosen").rows() == [("AAA", odd, 2, "first")]
    assert apart["spread_bp"][0] == pytest.approx(20, rel=0.1)


def test_the_others_stand_in_for_a_source_that_is_down(lake: Lake) -> None:
    report = ingest_sources(lake, [Told("first", MARKET, is_down=True), Told("second", MARKET)], NOW)
    assert "'first' was not asked to its end: first does not answer." in report.warnings
    assert report.added == MARKET.height
    assert {each["source"]: each["outcome"] for each in last_deliveries(lake)} == {
        "first": "outage",
        "second": "answered",
    }
    with pytest.raises(OutageError, match="first does not answer"):
        ingest_sources(lake, [Told("first", MARKET, is_down=True), Told("second", MARKET, is_down=True)], NOW)
