"""Who belongs to a market when: derived from bars and from what the market declares, by what was known then."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake.clock import DEMO_START, FixedClock
from lake.errors import ConfigError
from lake.ingest import refine_to_lake
from lake.ingest.naming import UNKNOWN
from lake.market import Market
from lake.membership import read_members, roster_of, spells_of, survivorship_of, universe_at, update_membership
from lake.names import Rename
from lake.sources import as_received, tiny_market
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import BARS, QUARANTINE, RAW_BARS, SYMBOLS, UNIVERSE
from support.properties import examples

INDEX = "^DESK"
BARS_OF_ALL = tiny_market(["AAA", "BBB", "CCC", INDEX], sessions=40, seed=3)
SESSIONS = BARS_OF_ALL["event_time"].unique().sort().to_list()
ENDED = 3
"""Sessions without a bar after which coverage has ended, in these tests."""


def home(members: str | None = None, renames: tuple[Rename, ...] = ()) -> Lake:
    folder = Path(tempfile.mkdtemp())
    Market(
        "desk", source="tiny", index=INDEX, renames=renames, members="members.csv" if members else None,
        delisted_after=ENDED,
    ).write(folder)  # fmt: skip
    if members:
        (folder / "members.csv").write_text(members, encoding="utf-8")
    return Lake(folder / "tables")


def without(bars: pl.DataFrame, symbol: str, missing: list[int]) -> pl.DataFrame:
    gone = [SESSIONS[place] for place in missing]
    return bars.filter(~((pl.col("symbol") == symbol) & pl.col("event_time").is_in(gone)))


def told(lake: Lake, symbol: str) -> list[tuple[str, int, int]]:
    """What is stored of a symbol: what happened, at which session, known at which."""
    rows = lake.read(UNIVERSE, where=pl.col("symbol") == symbol).sort("event_time", "known_time")
    return [
        (row["reason"], SESSIONS.index(row["event_time"]), SESSIONS.index(row["known_time"])) for row in rows.to_dicts()
    ]


def stored(bars: pl.DataFrame, *ends: int) -> Lake:
    """A lake that was updated after each of some sessions."""
    lake = home()
    for end in ends:
        lake.merge(BARS, bars.filter(pl.col("event_time") <= SESSIONS[end]))
        update_membership(lake, FixedClock(SESSIONS[end]))
    return lake


def test_a_symbol_belongs_from_its_first_bar_on() -> None:
    lake = stored(without(BARS_OF_ALL, "BBB", list(range(5))), 39)
    assert told(lake, "BBB") == [("first_bar", 5, 5)]
    assert universe_at(lake, "desk", SESSIONS[4]) == ["AAA", "CCC", INDEX]
    assert universe_at(lake, "desk", SESSIONS[5]) == ["AAA", "BBB", "CCC", INDEX]


def test_coverage_ends_once_that_is_known_and_resumes() -> None:
    lake = stored(without(BARS_OF_ALL, "BBB", list(range(10, 20))), 39)
    assert told(lake, "BBB") == [("first_bar", 0, 0), ("coverage_ended", 10, 12), ("coverage_resumed", 20, 20)]
    members = ["BBB" in universe_at(lake, "desk", at) for at in SESSIONS]
    assert members == [place < 12 or place >= 20 for place in range(40)]
    spells = spells_of(lake, "desk", SESSIONS[-1]).filter(pl.col("symbol") == "BBB")
    assert spells.rows() == [("BBB", SESSIONS[0], SESSIONS[10]), ("BBB", SESSIONS[20], None)]


def test_a_gap_shorter_than_declared_is_no_end() -> None:
    assert told(stored(without(BARS_OF_ALL, "BBB", [10, 11]), 39), "BBB") == [("first_bar", 0, 0)]


def test_the_end_of_all_bars_is_no_end_of_coverage() -> None:
    lake = home()
    lake.merge(BARS, BARS_OF_ALL.filter(pl.col("event_time") <= SESSIONS[20]))
    update_membership(lake, FixedClock(SESSIONS[39]))
    assert universe_at(lake, "desk", SESSIONS[39]) == ["AAA", "BBB", "CCC", INDEX]


MISSING = st.lists(st.tuples(st.integers(1, 39), st.integers(1, 9)), max_size=4).map(
    lambda gaps: sorted({place for start, length in gaps for place in range(start, min(start + length, 40))})
)
"""Sessions without a bar, in gaps about as long as what ends coverage."""


@examples(4)
@given(
    ends=st.lists(st.integers(0, 38), max_size=5, unique=True).map(sorted),
    missing=MISSING,
)
def test_runs_after_each_delivery_give_what_one_run_gives(ends: list[int], missing: list[int]) -> None:
    bars = without(BARS_OF_ALL, "BBB", missing)
    lake, whole = stored(bars, *ends, 39), stored(bars, 39)
    for spec in (UNIVERSE, SYMBOLS):
        assert_frame_equal(lake.read_as_of(spec, SESSIONS[-1]), whole.read_as_of(spec, SESSIONS[-1]))


@examples(3)
@given(at=st.integers(0, 39), missing=MISSING)
def test_membership_as_of_an_instant_is_that_of_a_lake_that_ends_there(at: int, missing: list[int]) -> None:
    """Nothing that became known later moves who belonged to the market."""
    bars = without(BARS_OF_ALL, "BBB", missing)
    lake = stored(bars, 39)
    assert universe_at(lake, "desk", SESSIONS[at]) == universe_at(stored(bars, at), "desk", SESSIONS[at])
    assert survivorship_of(lake, SESSIONS[at]) == survivorship_of(stored(bars, at), SESSIONS[at])


def test_a_bar_that_comes_late_takes_the_end_back_from_then_on() -> None:
    lake = stored(without(BARS_OF_ALL, "BBB", list(range(10, 40))), 20)
    late = BARS_OF_ALL.filter(pl.col("symbol") == "BBB", pl.col("event_time") == SESSIONS[10])
    lake.merge(BARS, late.with_columns(pl.lit(SESSIONS[21]).cast(BARS.schema["known_time"]).alias("known_time")))
    update_membership(lake, FixedClock(SESSIONS[21]))
    assert "BBB" not in universe_at(lake, "desk", SESSIONS[20])
    assert told(lake, "BBB")[-1] == ("coverage_ended", 11, 13)
    assert [row[0] for row in told(lake, "BBB")] == [
        "first_bar", "coverage_ended", "coverage_resumed", "coverage_ended",
    ]  # fmt: skip


def test_an_unchanged_market_writes_nothing_and_reads_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = stored(BARS_OF_ALL, 39)
    read: list[str] = []
    scan = Lake.scan

    def overheard(self: Lake, spec: TableSpec, *, version: int | None = None) -> pl.LazyFrame:
        read.append(spec.name)
        return scan(self, spec, version=version)

    monkeypatch.setattr(Lake, "scan", overheard)
    again = update_membership(lake, FixedClock(SESSIONS[39]))
    assert [report.added for report in again] == [0, 0]
    assert BARS.name not in read


MEMBERS = f"symbol,from,until\nAAA,,\nBBB,{SESSIONS[10].date()},{SESSIONS[20].date()}\n{INDEX},,\n"


def test_a_declared_list_says_who_belongs_where_bars_agree() -> None:
    lake = home(MEMBERS)
    lake.merge(BARS, without(BARS_OF_ALL, "AAA", list(range(30, 40))))
    update_membership(lake, FixedClock(SESSIONS[39]))
    members = [universe_at(lake, "desk", at) for at in SESSIONS]
    assert [("AAA" in each) for each in members] == [place < 32 for place in range(40)]
    assert [("BBB" in each) for each in members] == [10 <= place < 20 for place in range(40)]
    assert not any("CCC" in each for each in members)
    assert survivorship_of(lake, SESSIONS[39]) == "2 of 2 symbols left the market: AAA, BBB."
    assert [(e.symbol, e.is_member, e.reason, e.ended) for e in roster_of(lake, SESSIONS[39])][:2] == [
        ("AAA", False, "coverage_ended", SESSIONS[30].date()),
        ("BBB", False, "removed", SESSIONS[20].date()),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("symbol,from\nAAA,", "has no column until"),
        ("symbol,from,until\nAAA,2012-13-01,", "Line 2 of .* is AAA, 2012-13-01"),
        ("symbol,from,until\nAAA,,\nEUR/USD,,", "Line 3"),
        ("symbol,from,until\nAAA,2012-12-03,2012-12-03", "Line 2"),
    ],
)
def test_a_list_that_cannot_be_read_says_where(content: str, message: str) -> None:
    lake = home(content)
    with pytest.raises(ConfigError, match=message):
        read_members(lake.market, lake.root.parent)


def test_a_home_without_the_table_has_the_symbols_of_its_bars() -> None:
    lake = home()
    assert universe_at(lake, "desk", SESSIONS[39]) == []
    lake.merge(BARS, without(BARS_OF_ALL, "BBB", list(range(5))))
    assert universe_at(lake, "desk", SESSIONS[4]) == ["AAA", "CCC", INDEX]
    assert spells_of(lake, "desk", SESSIONS[39]).is_empty()
    assert [entry.is_member for entry in roster_of(lake, SESSIONS[39])] == [True] * 4
    assert "no record" in survivorship_of(lake, SESSIONS[39])


RENAMED = SESSIONS[20].date()
RENAME = Rename("OLD", "BBB", RENAMED)


def as_traded() -> pl.DataFrame:
    """Raw rows in which BBB bears another name before the rename, and another company its name."""
    is_before = pl.col("event_time").dt.date() < RENAMED
    name = pl.when(pl.col("symbol") == "BBB", is_before).then(pl.lit("OLD"))
    name = name.when(pl.col("symbol") == "CCC", is_before).then(pl.lit("BBB")).otherwise("symbol")
    return as_received(BARS_OF_ALL.with_columns(name.alias("symbol")))


@pytest.mark.parametrize("ends", [(39,), (5, 19, 20, 21, 39), tuple(range(40))])
def test_rows_that_bear_the_old_name_and_the_new_one_are_one_symbol(ends: tuple[int, ...]) -> None:
    lake, rows, last = home(renames=(RENAME,)), as_traded(), datetime(1990, 1, 1, tzinfo=UTC)
    for end in ends:
        due = rows.filter(pl.col("known_time") > last, pl.col("known_time") <= SESSIONS[end])
        lake.append(RAW_BARS, due.with_columns(pl.lit(f"tiny:{end}").alias("batch_id")), batch_id=f"tiny:{end}")
        last = SESSIONS[end]
        refine_to_lake(lake, FixedClock(last))
        update_membership(lake, FixedClock(last))
    bars = lake.read_as_of(BARS, DEMO_START)
    assert bars["symbol"].unique().sort().to_list() == ["AAA", "BBB", "CCC", INDEX]
    assert_frame_equal(
        bars.filter(pl.col("symbol") == "BBB").select("event_time", "close"),
        BARS_OF_ALL.filter(pl.col("symbol") == "BBB").select("event_time", "close"),
        rel_tol=1e-12,
    )
    refused = lake.read(QUARANTINE)
    assert set(refused["reason"]) == {UNKNOWN}
    assert refused.height == 20, "the rows of another company that had the name before"
    assert told(lake, "BBB") == [("first_bar", 0, 0)]
    names = lake.read_as_of(SYMBOLS, DEMO_START).filter(pl.col("symbol") == "BBB").sort("valid_from")
    midnight = datetime.combine(RENAMED, datetime.min.time(), UTC)
    assert names.select("source", "their_symbol", "valid_until").rows() == [
        ("declared", "OLD", midnight),
        ("declared", "BBB", None),
    ]


def test_a_rename_that_is_declared_after_the_fact_joins_what_is_stored() -> None:
    lake, rows = home(), as_traded().filter(pl.col("symbol") != "BBB")
    lake.append(RAW_BARS, rows.filter(pl.col("known_time") < SESSIONS[20]), batch_id="a")
    refine_to_lake(lake, FixedClock(SESSIONS[19]))
    update_membership(lake, FixedClock(SESSIONS[19]))
    Market("desk", source="tiny", index=INDEX, renames=(RENAME,), delisted_after=ENDED).write(lake.root.parent)
    after = as_traded().filter(pl.col("known_time") >= SESSIONS[20]).with_columns(pl.lit("b").alias("batch_id"))
    lake.append(RAW_BARS, after, batch_id="b")
    refine_to_lake(lake, FixedClock(SESSIONS[39]))
    update_membership(lake, FixedClock(SESSIONS[39]))
    assert lake.read_as_of(BARS, DEMO_START, where=pl.col("symbol") == "BBB").height == 40
    assert "OLD" not in universe_at(lake, "desk", SESSIONS[39])
    assert "BBB" in universe_at(lake, "desk", SESSIONS[5])
    assert "OLD" not in survivorship_of(lake, SESSIONS[39])


def test_rows_of_symbols_that_a_market_does_not_list_are_refused() -> None:
    lake = home(MEMBERS)
    rows = as_received(BARS_OF_ALL)
    lake.append(RAW_BARS, rows, batch_id="tiny")
    refine_to_lake(lake, FixedClock(DEMO_START))
    assert lake.read(BARS)["symbol"].unique().sort().to_list() == ["AAA", "BBB", INDEX]
    refused = lake.read(QUARANTINE)
    assert set(refused["reason"]) == {UNKNOWN}
    assert set(refused["content"].str.json_path_match("$.symbol")) == {"CCC"}


def test_names_are_known_from_the_day_they_changed() -> None:
    lake = home(renames=(Rename("OLD", "BBB", RENAMED),))
    lake.merge(BARS, BARS_OF_ALL)
    update_membership(lake, FixedClock(SESSIONS[39]))
    before = lake.read_as_of(SYMBOLS, SESSIONS[19], where=pl.col("source") == "declared")
    assert before.select("their_symbol", "valid_until").rows() == [("OLD", None)]
