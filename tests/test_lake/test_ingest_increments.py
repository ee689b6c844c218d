"""Judging only what is new gives the tables that one run over everything gives, however deliveries are cut."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake.clock import DEMO_START, FixedClock
from lake.ingest import refine_to_lake
from lake.ingest import refining as lake_ingest
from lake.refine import refine_bars
from lake.sources import as_received, tiny_market
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import ACTIONS, BARS, QUARANTINE, RAW_BARS
from support.properties import examples
from support.raw_rows import plant_bad_rows

MARKET = tiny_market(["AAA", "BBB", "CCC"], sessions=9, seed=5)
SESSIONS = MARKET["event_time"].unique().sort().to_list()
END = DEMO_START + timedelta(days=400)
ENDED = FixedClock(END)


def eventful(seed: int) -> pl.DataFrame:
    """Good rows with splits and dividends among them, restatements (some of which repeat), duplicates and bad rows."""
    random = np.random.default_rng(seed)
    factor = random.choice([1.0, 1.0, 0.99, 0.5], MARKET.height)
    rows = as_received(MARKET).with_columns(
        pl.lit("as_traded").alias("price_basis"),
        (pl.Series(factor) * MARKET["close"]).cast(pl.String).alias("adj_close"),
    )
    later = [
        rows[random.integers(0, rows.height, 6)].with_columns(
            pl.lit(DEMO_START + timedelta(days=int(days))).alias("known_time"),
            pl.Series("volume", random.choice(["7", "8", "1000"], 6)),
        )
        for days in (1, 2, 3, 366)
    ]
    rows = pl.concat([rows, *later]).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("row"))
    return plant_bad_rows(rows, seed).rows


def in_deliveries(rows: pl.DataFrame, count: int, seed: int) -> list[pl.DataFrame]:
    """The rows in some order, cut into deliveries that are received one after the other."""
    random = np.random.default_rng(seed)
    shuffled = rows[random.permutation(rows.height)]
    number = pl.Series(np.sort(random.integers(0, count, rows.height)))
    return [
        shuffled.filter(number == n).with_columns(
            pl.lit(f"tiny:{n}").alias("batch_id"),
            pl.lit(END + timedelta(minutes=n)).cast(RAW_BARS.schema["received_at"]).alias("received_at"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
        )
        for n in range(count)
    ]


def deliver(lake: Lake, rows: pl.DataFrame) -> None:
    lake.append(RAW_BARS, rows, batch_id=rows["batch_id"][0] if rows.height else "empty")


def facts(lake: Lake, spec: TableSpec, at: datetime = END) -> pl.DataFrame:
    """What is told at an instant. By when it was known a row that repeats another cannot be told from it."""
    rows = lake.read_as_of(spec, at)
    if spec is ACTIONS:  # an action that was told and taken back is none
        rows = rows.filter((pl.col("ratio") != 1) | (pl.col("amount") != 0).fill_null(value=False))
    return rows if spec is QUARANTINE else rows.drop("known_time", "batch_id", "source", strict=False)


def assert_same(ours: Lake, theirs: Lake) -> None:
    for spec in (BARS, ACTIONS, QUARANTINE):
        assert_frame_equal(facts(ours, spec), facts(theirs, spec), check_row_order=False)
    for at in (*SESSIONS, *(DEMO_START + timedelta(days=days) for days in (1, 2, 3))):
        assert_frame_equal(facts(ours, BARS, at), facts(theirs, BARS, at))


SEED = st.integers(0, 10_000)
RUNS = st.lists(st.sampled_from(["now", "early", "2012", "2013", "none"]), min_size=2, max_size=4)


@examples(1, wide=40)
@given(seed=SEED, runs=RUNS)
def test_any_split_over_runs_equals_one_run(
    seed: int, runs: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    deliveries = in_deliveries(eventful(seed), len(runs), seed)
    ours, theirs = (Lake(tmp_path_factory.mktemp(name)) for name in ("ours", "theirs"))
    for rows, run in zip(deliveries, runs, strict=True):
        deliver(ours, rows)
        deliver(theirs, rows)
        if run == "early":
            refine_to_lake(ours, FixedClock(DEMO_START + timedelta(days=1)))
        elif run != "none":
            refine_to_lake(ours, ENDED, years=[] if run == "now" else [int(run)])
    refine_to_lake(ours, ENDED)
    refine_to_lake(theirs, ENDED)
    assert_same(ours, theirs)
    assert all(report.added == 0 for report in refine_to_lake(ours, ENDED))


def restatements(lake: Lake, *volumes_and_days: tuple[str, int]) -> None:
    """Deliver AAA's first bar again, one delivery each."""
    row = as_received(MARKET).head(1)
    for number, (volume, days) in enumerate(volumes_and_days):
        known = pl.lit(DEMO_START + timedelta(days=days)).cast(RAW_BARS.schema["known_time"])
        received = pl.lit(END + timedelta(minutes=number)).cast(RAW_BARS.schema["received_at"])
        deliver(
            lake,
            row.with_columns(
                known_time=known, received_at=received, volume=pl.lit(volume), batch_id=pl.lit(f"tiny:r{number}")
            ),
        )
        refine_to_lake(lake, ENDED)


def test_a_row_that_repeated_speaks_up_when_a_row_arrives_between(lake: Lake) -> None:
    restatements(lake, ("5", 1), ("5", 3), ("9", 2))
    assert [lake.read_as_of(BARS, DEMO_START + timedelta(days=n))["volume"][0] for n in (1, 2, 3)] == [5, 9, 5]


def test_a_duplicate_of_a_row_that_only_repeated_is_told_by_the_raw_rows(lake: Lake) -> None:
    restatements(lake, ("5", 1), ("5", 3), ("9", 3))
    assert lake.read(QUARANTINE)["reason"].to_list() == ["duplicate"]
    assert lake.read(BARS)["volume"].to_list() == [5]


@pytest.mark.parametrize("forget", [False, True])
def test_without_the_rows_judged_before_a_duplicate_would_pass(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, forget: bool
) -> None:
    """The guard of the test above: taken away, the second row of one fact is no duplicate any more."""
    if forget:
        monkeypatch.setattr(lake_ingest, "refine_bars", lambda raw, **_: refine_bars(raw))
    restatements(lake, ("5", 1), ("5", 3), ("9", 3))
    assert lake.read(QUARANTINE).is_empty() is forget


def test_a_duplicate_of_a_row_with_another_date_than_its_stamp_blocks_nothing(lake: Lake) -> None:
    row = as_received(MARKET).head(1)
    elsewhere = row.with_columns(event_time=pl.lit(SESSIONS[3]), batch_id=pl.lit("tiny:odd"))
    for rows in (elsewhere, row.with_columns(volume=pl.lit("9"), received_at=pl.lit(END))):
        deliver(lake, rows)
        refine_to_lake(lake, ENDED)
    assert lake.read(BARS).height == 1
    assert lake.read(QUARANTINE)["reason"].to_list() == ["duplicate"]


def test_a_row_dated_outside_the_years_of_the_run_is_not_lost(lake: Lake) -> None:
    """What became known in a year belongs to its run, whatever it is dated."""
    good = as_received(MARKET)
    known = datetime(2014, 3, 3, 21, tzinfo=UTC)
    late = good.tail(1).with_columns(volume=pl.lit("77"), known_time=pl.lit(known), batch_id=pl.lit("tiny:late"))
    stray = late.with_columns(stamp=pl.lit("2009-01-01T12:00:00+00:00"), row=pl.lit(10_000, dtype=pl.Int64))
    deliver(lake, good)
    deliver(lake, pl.concat([late, stray]))
    clock = FixedClock(known)
    refine_to_lake(lake, clock, years=[2012])
    assert lake.report(BARS).rows == MARKET.height
    bars, _, refused = refine_to_lake(lake, clock, years=[2013, 2014])
    assert (bars.added, refused.added) == (1, 1)


def count_judged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    judged: list[int] = []

    def counting(raw: pl.DataFrame, judged_before: pl.DataFrame | None = None, **given: str) -> object:
        judged.append(raw.height)
        return refine_bars(raw, judged_before, **given)

    monkeypatch.setattr(lake_ingest, "refine_bars", counting)
    return judged


def day_by_day(lake: Lake) -> None:
    raw = as_received(MARKET)
    for number, session in enumerate(SESSIONS):
        rows = raw.filter(pl.col("event_time") == session).with_columns(pl.lit(f"tiny:{number}").alias("batch_id"))
        deliver(lake, rows)
        refine_to_lake(lake, FixedClock(session))


def test_each_raw_row_is_judged_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = count_judged(monkeypatch)
    day_by_day(lake)
    refine_to_lake(lake, ENDED)
    assert judged == [3] * len(SESSIONS)


def tear(lake: Lake) -> None:
    (lake.root / ".stamps" / "refine.json").write_text("{torn", encoding="utf-8")


def other_rules(lake: Lake) -> None:
    path = lake.root / ".stamps" / "refine.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"recipe": "older"}), encoding="utf-8")


def foreign_row(lake: Lake) -> None:
    lake.merge(BARS, MARKET.head(1).with_columns(symbol=pl.lit("ZZZ")))


@pytest.mark.parametrize("spoil", [tear, other_rules, foreign_row])
def test_a_stamp_that_cannot_be_trusted_costs_a_full_run(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Lake], None]
) -> None:
    day_by_day(lake)
    before = lake.report(BARS).rows
    spoil(lake)
    judged = count_judged(monkeypatch)
    assert all(report.added == 0 for report in refine_to_lake(lake, ENDED))
    assert judged == [MARKET.height]
    assert lake.report(BARS).rows - before in {0, 1}


def test_a_run_killed_before_its_stamp_is_done_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(lake_ingest, "write_watermarks", die)
        deliver(lake, as_received(MARKET))
        with pytest.raises(KeyboardInterrupt):
            refine_to_lake(lake, ENDED)
    assert all(report.added == 0 for report in refine_to_lake(lake, ENDED))
    assert lake.report(BARS).rows == MARKET.height


def test_rows_stored_before_they_were_known_are_judged_when_they_are(lake: Lake) -> None:
    deliver(lake, as_received(MARKET))
    added = [refine_to_lake(lake, FixedClock(session))[0].added for session in SESSIONS]
    assert added == [3] * len(SESSIONS)
