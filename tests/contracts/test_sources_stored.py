"""What every vendor's bars must become in the lake: cases S13 to S17 and S23 of the battery in `test_sources.py`."""

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st

from lake.calendars import close_of, closes
from lake.clock import FixedClock
from lake.errors import SourceError
from lake.ingest import ingest_bars, refine_to_lake
from lake.sources import connector_of
from lake.store import Lake
from lake.tables import ACTIONS, RAW_BARS
from support.killing import KilledError, killed
from support.properties import judge_scripts
from support.replay_server import reset, status
from support.vendors import SYMBOLS, VENDORS, Event, Stand, stand_of
from support.vendors import faults_of_the_wire as faults

LAST = close_of(date(2012, 12, 31))
NOW = LAST + timedelta(hours=1)
RESTATED = date(2012, 12, 28)
DAY = timedelta(days=1)
Values = dict[tuple[str, datetime], float]


@pytest.fixture(params=sorted(VENDORS))
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with stand_of(request.param, tmp_path, NOW) as made:
        yield made


def as_of(lake: Lake, at: datetime) -> Values:
    """Return the close of each bar as it was known at an instant, by the newest raw row that was known then."""
    rows = lake.read(RAW_BARS, where=pl.col("known_time") <= at).sort("known_time", "received_at", "row")
    last = rows.unique(["symbol", "event_time"], keep="last")
    return {(symbol, stamp): float(close) for symbol, stamp, close in last["symbol", "event_time", "close"].iter_rows()}


def truth(stand: Stand, first: date, symbols: tuple[str, ...] = SYMBOLS) -> Values:
    """Return what the vendor tells now of the sessions that have closed."""
    ends = dict(closes().select("session", "event_time").iter_rows())
    return {
        (symbol, ends[day]): float(bar["close"] or 0)
        for symbol in symbols
        for day, bar in stand.vendor.bars[symbol].items()
        if day >= first and ends[day] <= stand.time.now()
    }


def restate(stand: Stand, close: float, symbol: str = "AAPL", day: date = RESTATED) -> None:
    stand.vendor.bars[symbol][day] = stand.vendor.bars[symbol][day] | {"close": close}


def move_to(stand: Stand, day: date) -> None:
    """Let an hour after the close of a session come, for the vendor too."""
    stand.vendor.until, stand.time.at = day, close_of(day) + timedelta(hours=1)


def test_s13_a_restated_value_is_stored_beside_the_first_and_known_from_its_receipt(stand: Stand, lake: Lake) -> None:
    bar = ("AAPL", close_of(RESTATED))
    ingest_bars(lake, stand.source(), stand.time)
    restate(stand, 510.5)
    stand.time.at = NOW + DAY
    report = ingest_bars(lake, stand.source(), stand.time)
    assert (report.added, report.details["corrected"]) == (1, 1)
    assert as_of(lake, NOW + DAY - timedelta(microseconds=1))[bar] == 509.5892
    assert as_of(lake, NOW + DAY)[bar] == 510.5


def test_s14_an_old_value_told_again_adds_nothing(stand: Stand, lake: Lake) -> None:
    ingest_bars(lake, stand.source(), stand.time)
    for days in (1, 2):
        stand.time.at = NOW + days * DAY
        assert ingest_bars(lake, stand.source(), stand.time).added == 0


def test_s15_the_same_pull_twice_writes_nothing_the_second_time(stand: Stand, lake: Lake) -> None:
    assert ingest_bars(lake, stand.source(), stand.time).added == 20 * len(SYMBOLS)
    version, rows = lake.version(RAW_BARS), lake.read(RAW_BARS)
    stand.time.sleep(60)
    assert ingest_bars(lake, stand.source(), stand.time).skipped
    assert lake.version(RAW_BARS) == version
    assert lake.read(RAW_BARS).equals(rows)


def test_s16_a_pull_that_was_killed_before_its_commit_is_made_good(
    stand: Stand, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append", killed)
        with pytest.raises(KilledError):
            ingest_bars(lake, stand.source(), stand.time)
    stand.time.sleep(60)
    assert ingest_bars(lake, stand.source(), stand.time).added == 20 * len(SYMBOLS)
    assert as_of(lake, stand.time.now()) == truth(stand, date(2012, 12, 3))


def test_s17_symbols_in_any_order_with_pulls_that_were_killed_leave_no_gap(
    stand: Stand, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(17)
    for day in (3, 6, 11, 14, 20, 26, 31):
        move_to(stand, date(2012, 12, day))
        symbols = chance.sample(SYMBOLS, 3)
        with monkeypatch.context() as patch, suppress(KilledError):
            if chance.random() < 0.2:
                patch.setattr(Lake, "append", killed)
            ingest_bars(lake, stand.source(symbols), stand.time)
    ingest_bars(lake, stand.source(), stand.time)
    assert as_of(lake, stand.time.now()) == truth(stand, date(2012, 12, 3))
    rows = lake.read(RAW_BARS)
    assert rows.height == 20 * len(SYMBOLS)  # each bar once, whatever was asked again


def test_prices_as_traded_become_bars_and_the_stated_actions_are_found_again(stand: Stand, lake: Lake) -> None:
    day, bars = date(2012, 12, 14), stand.vendor.bars["IBM"]
    paid = [Event(date(2012, 11, 8), "dividend", 0.85), Event(date(2012, 12, 20), "dividend", 1.25)]
    stand.vendor.events = {"IBM": [Event(day, "split", 2), *paid]}
    if stand.vendor.name != "yahoo":  # which tells its bars adjusted
        stand.vendor.bars["IBM"] = {d: _halved(bar) if d >= day else bar for d, bar in bars.items()}
    ingest_bars(lake, stand.source(SYMBOLS, date(2012, 10, 1)), stand.time)
    clock = FixedClock(NOW + DAY)
    refined, actions, refused = refine_to_lake(lake, clock)
    assert (refined.added, refused.added) == (62 * len(SYMBOLS), 0)
    if stand.vendor.name != "yahoo":
        found = lake.read(ACTIONS).filter(pl.col("symbol") == "IBM").sort("event_time")
        told = [(date(2012, 11, 8), "dividend", 0.85), (day, "split", 2.0), (date(2012, 12, 20), "dividend", 1.25)]
        values = found.select(pl.col("event_time").dt.date(), "kind", pl.coalesce("amount", "ratio")).rows()
        assert [(at, kind, pytest.approx(value, rel=1e-6)) for at, kind, value in told] == values
        assert actions.added == 3


def _halved(bar: dict[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is None or name == "volume" else value / 2 for name, value in bar.items()}


TWO = ("AAPL", "IBM")
SESSIONS = [date(2012, 12, day) for day in (26, 27, 28, 31)]
WIRE = [fault for _, fault in faults()] + [status(500), reset()]
STEPS = st.one_of(
    st.tuples(st.just("next session")),
    st.tuples(st.just("restate"), st.sampled_from(TWO), st.sampled_from(SESSIONS), st.integers(500, 510)),
    st.tuples(st.just("faults"), st.sampled_from(range(len(WIRE))), st.integers(1, 6)),
    st.tuples(st.just("page"), st.integers(1, 5)),
    st.tuples(st.just("pull")),
    st.tuples(st.just("pull")),
)


def run_script(name: str, steps: list[tuple[Any, ...]]) -> None:
    """Run steps against a vendor; the lake as of each pull must be what the vendor told at that pull, for ever."""
    with TemporaryDirectory() as folder, stand_of(name, Path(folder), NOW) as it:
        lake, told, session = Lake(Path(folder) / "tables"), [], 0
        move_to(it, SESSIONS[0])
        for step, *values in [*steps, ("heal",), ("pull",)]:
            it.time.at += timedelta(seconds=1)
            if step == "next session" and session + 1 < len(SESSIONS):
                session += 1
                move_to(it, SESSIONS[session])
            elif step == "restate":
                restate(it, values[2], values[0], values[1])
            elif step == "faults":
                it.server.script("/", *[WIRE[values[0]]] * values[1])
            elif step == "page":
                it.vendor.page_size = values[0]
            elif step == "heal":
                it.server.heal()
            elif step == "pull":
                with suppress(SourceError):
                    ingest_bars(lake, it.source(TWO, SESSIONS[0]), it.time)
                    told.append((it.time.now(), truth(it, SESSIONS[0], TWO)))
        assert told  # the last pull meets no fault
        assert [as_of(lake, at) == values for at, values in told] == [True] * len(told)


@pytest.mark.parametrize("name", sorted(VENDORS))
def test_s23_whatever_happens_the_lake_knows_what_was_told_when(name: str) -> None:
    judge_scripts(STEPS, partial(run_script, name), tries=4, longest=8)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(VENDORS))
def test_s23_three_hundred_scripts(name: str) -> None:
    judge_scripts(STEPS, partial(run_script, name), tries=300, longest=16)


def test_the_lookback_reaches_over_the_sessions_that_the_scripts_restate() -> None:
    for name in VENDORS:
        assert connector_of(name).lookback > close_of(SESSIONS[-1]) - close_of(SESSIONS[0])
