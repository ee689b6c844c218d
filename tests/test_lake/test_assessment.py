"""What looks odd is flagged and kept; a score says what is missing, late or refused; a run looks at what is new."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.assessment import assess, find_anomalies
from lake.clock import FixedClock
from lake.ingest import ingest_bars, refine_to_lake
from lake.sources import PackagedMarket, as_received, tiny_market
from lake.store import Lake, newest_known
from lake.tables import ACTIONS, AGREEMENT, BARS, FINDINGS, QUALITY_SCORES, RAW_BARS

MARKET = tiny_market(["AAA", "BBB", "^GSPC"], sessions=90, seed=7)
CLOSES = MARKET["event_time"].unique().sort().to_list()
ODD = CLOSES[75]
LATER = FixedClock(CLOSES[-1] + timedelta(days=2))


def changed(column: str, factor: float, *, symbol: str = "AAA") -> pl.DataFrame:
    """The market with one value of one bar multiplied, its range kept around it."""
    is_it = (pl.col("symbol") == symbol) & (pl.col("event_time") == ODD)
    moved = MARKET.with_columns(pl.when(is_it).then(pl.col(column) * factor).otherwise(pl.col(column)).alias(column))
    return moved.with_columns(
        pl.max_horizontal("high", "close").alias("high"), pl.min_horizontal("low", "close").alias("low")
    )


NO_ACTIONS, NO_AGREEMENT = ACTIONS.empty(), AGREEMENT.empty()


def found(
    bars: pl.DataFrame, actions: pl.DataFrame = NO_ACTIONS, agreement: pl.DataFrame = NO_AGREEMENT
) -> list[tuple[str, datetime, str]]:
    return find_anomalies(bars, actions, agreement).select("symbol", "event_time", "rule").rows()


def test_a_planted_jump_and_its_way_back_are_found_and_nothing_else() -> None:
    assert found(MARKET) == []
    after = CLOSES[76]
    assert found(changed("close", 1.5)) == [("AAA", ODD, "extreme_return"), ("AAA", after, "extreme_return")]
    assert found(changed("volume", 100.0)) == [("AAA", ODD, "extreme_volume")]


def test_an_action_or_an_agreeing_source_explains_a_return() -> None:
    bars, after = changed("close", 1.5), CLOSES[76]
    action = {"symbol": "AAA", "event_time": ODD, "known_time": ODD, "kind": "split", "ratio": 1.5, "amount": None}
    actions = pl.DataFrame([action | {"source": "x"}], schema=ACTIONS.schema)
    assert found(bars, actions) == [("AAA", after, "extreme_return")]
    said = {"symbol": "AAA", "known_time": ODD, "field": "close", "sources": 2, "spread_bp": 0.0, "chosen": "x"}
    rows = [said | {"event_time": ODD, "agreeing": 2}, said | {"event_time": after, "agreeing": 1}]
    assert found(bars, agreement=pl.DataFrame(rows, schema=AGREEMENT.schema)) == [("AAA", after, "extreme_return")]


def test_the_fifth_equal_close_is_stale_and_is_named_once() -> None:
    stale = pl.col("event_time").is_between(CLOSES[70], CLOSES[77]) & (pl.col("symbol") == "BBB")
    bars = MARKET.with_columns(pl.when(stale).then(100.0).otherwise("close").alias("close"))
    assert [row for row in found(bars) if row[2] == "stale_close"] == [("BBB", CLOSES[74], "stale_close")]


def test_a_bar_to_come_changes_no_finding() -> None:
    whole = find_anomalies(changed("close", 1.5), ACTIONS.empty(), AGREEMENT.empty())
    cut = changed("close", 1.5).filter(pl.col("event_time") <= CLOSES[80])
    assert_frame_equal(find_anomalies(cut, ACTIONS.empty(), AGREEMENT.empty()), whole)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "tables")


def store(lake: Lake, bars: pl.DataFrame, batch_id: str = "one") -> None:
    lake.append(RAW_BARS, as_received(bars, batch_id=batch_id), batch_id=batch_id)


def judge(lake: Lake, clock: FixedClock) -> None:
    refine_to_lake(lake, clock)
    assess(lake, clock)


def scores(lake: Lake) -> pl.DataFrame:
    return newest_known(lake.read(QUALITY_SCORES), QUALITY_SCORES.key).sort("event_time")


def test_a_score_falls_by_what_is_missing_late_or_refused_and_by_nothing_else(lake: Lake) -> None:
    missing, late, bad = CLOSES[40], CLOSES[50], CLOSES[60]
    at = pl.col("event_time")
    is_aaa = pl.col("symbol") == "AAA"
    bars = MARKET.filter(~(is_aaa & (at == missing))).with_columns(
        pl.when(is_aaa & (at == late)).then(at + timedelta(days=2)).otherwise("known_time").alias("known_time"),
        pl.when(is_aaa & (at == bad)).then(-1.0).otherwise("close").alias("close"),
    )
    raw = as_received(bars, batch_id="one")
    lake.append(RAW_BARS, raw, batch_id="one")
    refine_to_lake(lake, LATER)
    before = lake.read(BARS)
    assess(lake, LATER)
    assert_frame_equal(lake.read(BARS), before)
    off = scores(lake).filter(pl.col("score") < 1)
    parts = off.select("event_time", "completeness", "validity", "timeliness", "score").rows()
    third = pytest.approx(2 / 3)
    assert parts == [(missing, third, 1, 1, third), (late, 1, 1, third, third), (bad, 1, third, 1, third)]


def test_a_symbol_that_fell_silent_is_expected_for_20_sessions(lake: Lake) -> None:
    store(lake, MARKET.filter((pl.col("symbol") != "BBB") | (pl.col("event_time") <= CLOSES[30])))
    judge(lake, LATER)
    off = scores(lake).filter(pl.col("score") < 1)["event_time"].to_list()
    assert off == CLOSES[31:51]


def test_a_session_of_which_nothing_came_is_scored_once_it_is_due(lake: Lake) -> None:
    store(lake, MARKET.filter(pl.col("event_time") < CLOSES[-1]))
    judge(lake, FixedClock(CLOSES[-1] + timedelta(hours=1)))
    assert scores(lake)["event_time"].max() == CLOSES[-2]
    judge(lake, FixedClock(CLOSES[-1] + timedelta(hours=25)))
    assert scores(lake).row(-1, named=True)["score"] == 0
    store(lake, MARKET.filter(pl.col("event_time") == CLOSES[-1]), "two")
    judge(lake, FixedClock(CLOSES[-1] + timedelta(hours=26)))
    assert scores(lake).row(-1, named=True)["completeness"] == 1


def test_run_by_run_equals_one_run_over_everything(lake: Lake, tmp_path: Path) -> None:
    bars = changed("close", 1.5)
    for place in (70, 74, 75, 76, 77, 89):
        part = bars.filter(pl.col("event_time") <= CLOSES[place])
        fresh = part if not lake.exists(RAW_BARS) else part.filter(pl.col("event_time") > lake.last_event(RAW_BARS))
        store(lake, fresh, str(place))
        clock = FixedClock(CLOSES[place] + timedelta(hours=1))
        refine_to_lake(lake, clock)
        assess(lake, clock)
    again = Lake(tmp_path / "again")
    for table in (RAW_BARS, BARS):
        shutil.copytree(lake.path(table), again.path(table))
    assess(again, FixedClock(CLOSES[89] + timedelta(hours=1)))
    for table in (FINDINGS, QUALITY_SCORES):
        assert_frame_equal(lake.read(table).sort(table.key), again.read(table).sort(table.key))
    assert lake.read(FINDINGS).height == 2


def test_a_second_run_finds_nothing_to_do(lake: Lake) -> None:
    store(lake, MARKET)
    refine_to_lake(lake, LATER)
    assess(lake, LATER)
    versions = lake.versions([FINDINGS, QUALITY_SCORES])
    assert [report.skipped for report in assess(lake, LATER)] == [True, True]
    assert lake.versions([FINDINGS, QUALITY_SCORES]) == versions


def test_real_scares_are_found(lake: Lake) -> None:
    """Merck withdrew Vioxx on 2004-09-30."""
    clock = FixedClock(CLOSES[0].replace(year=2004, month=12, day=31))
    ingest_bars(lake, PackagedMarket(), clock)
    refine_to_lake(lake, clock)
    assess(lake, clock)
    worst = lake.read(FINDINGS).filter(rule="extreme_return").sort("value").row(-1, named=True)
    assert (worst["symbol"], f"{worst['event_time']:%Y-%m-%d}") == ("MRK", "2004-09-30")
    assert scores(lake)["score"].min() == 1
