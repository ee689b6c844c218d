"""A source that is asked again: what is late, corrected or added is stored once, known from when it came."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl
import pytest

from lake.clock import FixedClock
from lake.errors import SourceError
from lake.ingest import ingest_bars, refine_to_lake, require_history
from lake.market import Market
from lake.report import Report
from lake.sources import as_received, tiny_market
from lake.store import Lake
from lake.tables import BARS, QUARANTINE, RAW_BARS
from support.raw_rows import RowSource

MARKET = tiny_market(["AAA", "BBB"], sessions=31, seed=5)
SESSIONS = MARKET["event_time"].unique().sort().to_list()
RAW = as_received(MARKET)
WEEK = timedelta(days=7)
LATER = timedelta(minutes=5)
is_aaa, is_bbb = (pl.col("symbol") == name for name in ("AAA", "BBB"))


@dataclass(frozen=True)
class AskedAgain(RowSource):
    """A source of rows that is asked again from `lookback` before its newest stored bar on."""

    lookback: timedelta | None = field(default=WEEK)


def at(session: datetime) -> pl.Expr:
    return pl.col("event_time") == session


def live(lake: Lake, rows: pl.DataFrame, now: datetime, lookback: timedelta | None = WEEK) -> Report:
    report = ingest_bars(lake, AskedAgain(rows, lookback=lookback), FixedClock(now))
    refine_to_lake(lake, FixedClock(now))
    return report


def stored(lake: Lake, where: pl.Expr) -> list[tuple[float, datetime]]:
    rows = lake.read(BARS, where=where).sort("event_time", "known_time")
    return rows.select("volume", "known_time").rows()


each_lookback = pytest.mark.parametrize("lookback", [WEEK, None])


@each_lookback
def test_what_is_sent_again_unchanged_writes_nothing(lake: Lake, lookback: timedelta | None) -> None:
    live(lake, RAW, SESSIONS[20], lookback)
    version = lake.version(RAW_BARS)
    again = live(lake, RAW, SESSIONS[20] + LATER, lookback)
    assert (again.added, again.skipped, lake.version(RAW_BARS)) == (0, True, version)
    assert again.details["reason"].startswith("'tiny' has no bar that is not stored")


@each_lookback
def test_day_by_day_the_bars_are_those_of_one_delivery(lake: Lake, lookback: timedelta | None) -> None:
    added = [live(lake, RAW, session, lookback).added for session in SESSIONS[:6]]
    assert added == [2] * 6
    assert lake.read(BARS).select(pl.col("known_time") == pl.col("event_time")).to_series().all()


@each_lookback
def test_a_bar_that_is_five_minutes_late_is_taken_and_known_from_then(lake: Lake, lookback: timedelta | None) -> None:
    live(lake, RAW.filter(~(is_bbb & at(SESSIONS[9]))), SESSIONS[9], lookback)
    report = live(lake, RAW, SESSIONS[9] + LATER, lookback)
    assert (report.added, report.details["late"]) == (1, 1)
    assert [known for _, known in stored(lake, is_bbb & at(SESSIONS[9]))] == [SESSIONS[9] + LATER]


@each_lookback
def test_a_symbol_that_is_added_later_comes_with_its_whole_history(lake: Lake, lookback: timedelta | None) -> None:
    live(lake, RAW.filter(is_aaa), SESSIONS[20], lookback)
    assert live(lake, RAW, SESSIONS[21], lookback).added == 1 + 22
    known = [known for _, known in stored(lake, is_bbb)]
    assert known == [SESSIONS[21]] * 22, "its history became known by this delivery"


@each_lookback
def test_a_symbol_that_fell_behind_is_asked_from_where_it_stopped(lake: Lake, lookback: timedelta | None) -> None:
    live(lake, RAW.filter(is_aaa | (pl.col("event_time") <= SESSIONS[3])), SESSIONS[20], lookback)
    assert live(lake, RAW, SESSIONS[21], lookback).added == 1 + 18
    assert len(stored(lake, is_bbb)) == 22


@each_lookback
def test_a_preliminary_bar_that_is_corrected_next_day(lake: Lake, lookback: timedelta | None) -> None:
    early = RAW.with_columns(pl.when(is_aaa & at(SESSIONS[9])).then(pl.lit("5")).otherwise("volume").alias("volume"))
    final = MARKET.filter(is_aaa & at(SESSIONS[9]))["volume"][0]
    live(lake, early, SESSIONS[9], lookback)
    report = live(lake, RAW, SESSIONS[10], lookback)
    assert (report.added, report.details["corrected"]) == (3, 1)
    assert stored(lake, is_aaa & at(SESSIONS[9])) == [(5, SESSIONS[9]), (final, SESSIONS[10])]
    assert live(lake, RAW, SESSIONS[10] + LATER, lookback).added == 0
    assert live(lake, early, SESSIONS[10] + LATER, lookback).added == 1, "it may be taken back"


def test_of_two_values_in_one_delivery_the_last_counts_and_the_other_is_refused(lake: Lake) -> None:
    one = RAW.filter(is_aaa & at(SESSIONS[9]))
    both = pl.concat([RAW.filter(~(is_aaa & at(SESSIONS[9]))), one.with_columns(volume=pl.lit("5")), one])
    report = live(lake, both, SESSIONS[9])
    assert report.details["doubled"] == 1
    assert "sent 1 rows for bars of which the same delivery holds a later row" in report.warnings[0]
    assert lake.read(QUARANTINE).select("reason", pl.col("content").str.json_path_match("$.volume")).rows() == [
        ("duplicate", "5")
    ]
    assert len(stored(lake, is_aaa & at(SESSIONS[9]))) == 1
    assert live(lake, both, SESSIONS[9] + LATER).added == 0


def test_without_a_lookback_the_last_of_two_values_counts_too(lake: Lake) -> None:
    one = RAW.filter(is_aaa & at(SESSIONS[0]))
    ingest_bars(lake, RowSource(pl.concat([one.with_columns(volume=pl.lit("5")), one])), FixedClock(SESSIONS[0]))
    refine_to_lake(lake, FixedClock(SESSIONS[0]))
    assert stored(lake, is_aaa) == [(float(one["volume"][0]), SESSIONS[0])]


@each_lookback
def test_a_first_load_is_known_as_the_source_says(lake: Lake, lookback: timedelta | None) -> None:
    live(lake, RAW, SESSIONS[20] + LATER, lookback)
    assert lake.read(RAW_BARS).select(pl.col("known_time") == pl.col("event_time")).to_series().all()


def test_two_changes_at_one_instant_are_two_versions(lake: Lake) -> None:
    now = SESSIONS[9] + LATER
    for volume in ("5", "6", "7"):
        ingest_bars(lake, AskedAgain(RAW.with_columns(volume=pl.lit(volume))), FixedClock(now))
    known = lake.read(RAW_BARS, where=is_aaa & at(SESSIONS[9]))["known_time"].sort().to_list()
    assert known == [SESSIONS[9], now, now + timedelta(microseconds=1)]


def test_named_years_are_asked_again_as_a_whole(lake: Lake) -> None:
    source, clock = AskedAgain(RAW), FixedClock(SESSIONS[20])
    assert ingest_bars(lake, source, clock, years=[2012]).added == 2 * 21
    corrected = RAW.with_columns(
        pl.when(is_aaa & at(SESSIONS[0])).then(pl.lit("5")).otherwise("volume").alias("volume")
    )
    assert ingest_bars(lake, AskedAgain(corrected), clock, years=[2012]).added == 1


def test_an_index_without_its_newest_bar_is_named(lake: Lake) -> None:
    source = RowSource(RAW.filter(~(is_bbb & at(SESSIONS[9]))))
    ingest_bars(lake, source, FixedClock(SESSIONS[9]))
    bars, *_ = refine_to_lake(lake, FixedClock(SESSIONS[9]), index="BBB")
    day = f"{SESSIONS[9]:%Y-%m-%d}"
    assert bars.warnings[0].startswith(f"The bar of the index BBB for the session that closed at {day}")
    assert "has not come, while 1 symbols have theirs" in bars.warnings[0]


def test_an_index_whose_newest_bar_was_refused_is_named_with_the_reason(lake: Lake) -> None:
    volume = pl.when(is_bbb & at(SESSIONS[9])).then(pl.lit("-1")).otherwise("volume")
    source = RowSource(RAW.with_columns(volume.alias("volume")))
    for session in SESSIONS[8:10]:
        ingest_bars(lake, source, FixedClock(session))
        bars, *_ = refine_to_lake(lake, FixedClock(session), index="BBB")
    assert "was refused as 'negative_volume'" in bars.warnings[0]


def test_nothing_is_said_of_an_index_that_is_there(lake: Lake) -> None:
    Market("desk", source="tiny", index="BBB").write(lake.root.parent)
    ingest_bars(lake, RowSource(RAW), FixedClock(SESSIONS[9]))
    assert refine_to_lake(lake, FixedClock(SESSIONS[9]))[0].warnings == ()


LONG = as_received(tiny_market(["AAA", "BBB"], sessions=500, seed=5))


def test_older_years_after_newer_ones_are_refused_before_anything_is_stored(lake: Lake) -> None:
    clock = FixedClock(SESSIONS[-1])
    ingest_bars(lake, RowSource(LONG.filter(pl.col("event_time").dt.year() == 2012)), clock)
    with pytest.raises(SourceError, match=r"bars of .tiny. for 2011 are not stored, but bars up to 2012-12-31.*QUANT"):
        require_history(lake, RowSource(LONG), [2011])
    require_history(lake, RowSource(LONG.filter(pl.col("event_time").dt.year() == 2012)), [2012])


@pytest.mark.parametrize("years", [[], [2011]])
def test_a_source_that_is_asked_again_may_tell_an_older_history_known_from_now(lake: Lake, years: list[int]) -> None:
    early, later = FixedClock(SESSIONS[-1]), FixedClock(SESSIONS[-1] + LATER)
    ingest_bars(lake, AskedAgain(LONG.filter(pl.col("event_time").dt.year() == 2012)), early)
    source = AskedAgain(LONG, lookback=None)
    if years:
        require_history(lake, AskedAgain(LONG.filter(pl.col("event_time").dt.year() >= 2011), lookback=None), years)
    assert ingest_bars(lake, source, later, years).added > 0
    told = lake.read(RAW_BARS, where=pl.col("event_time").dt.year() < 2012)
    assert set(told["known_time"]) == {later.now()}
