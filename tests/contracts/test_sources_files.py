"""What a price file must do as a source: those of the cases S01 to S23 of `test_sources.py` that a file can have."""

import gzip
import random
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake.calendars import close_of, closes
from lake.clock import FixedClock
from lake.errors import SourceError, UnknownNameError
from lake.ingest import ingest_bars, refine_to_lake
from lake.market import Market
from lake.sources.files import FileMapping, FileSource
from lake.store import Lake, newest_known
from lake.tables import BARS, QUARANTINE, RAW_BARS
from support.killing import KilledError, killed
from support.properties import judge_scripts

DAYS = [date(2012, 12, day) for day in (20, 21, 24, 26, 27, 28, 31)]
LAST = close_of(DAYS[-1])
NOW = LAST + timedelta(hours=1)
A_DAY = timedelta(days=1)
HEAD = "Date,Ticker,Open,High,Low,Close,Volume"
Prices = dict[tuple[date, str], str]


def mapping_of(path: Path) -> FileMapping:
    columns = {name.lower(): name for name in ("Open", "High", "Low", "Close", "Volume")}
    return FileMapping(
        str(path),
        "long",
        "Date",
        "%Y-%m-%d",
        "as_traded",
        "1d",
        "XNYS",
        "Ticker",
        delimiter=",",
        index="AAA",
        **columns,
    )


def prices(symbols: tuple[str, ...] = ("AAA", "BBB"), days: list[date] = DAYS) -> Prices:
    return {
        (day, symbol): f"{20 + place + n / 10:.2f}"
        for n, day in enumerate(days)
        for place, symbol in enumerate(symbols)
    }


def line(day: date, symbol: str, close: str) -> str:
    return f"{day},{symbol},{close},{float(close) + 1:.2f},{float(close) - 1:.2f},{close},1000"


def write(path: Path, told: Prices, *further: str) -> FileSource:
    """Write a file of these closes and further lines."""
    path.write_text("\n".join([HEAD, *(line(*key, close) for key, close in sorted(told.items())), *further]) + "\n")
    return FileSource(mapping_of(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prices.csv"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    Market("desk", "file", index="AAA", first_year=2012).write(tmp_path)
    return Lake(tmp_path / "tables")


def store(lake: Lake, source: FileSource, at: datetime = NOW) -> int:
    """Ingest and refine at an instant; return how many raw rows were added."""
    clock = FixedClock(at)
    added = ingest_bars(lake, source, clock).added
    refine_to_lake(lake, clock)
    return added


def as_of(lake: Lake, at: datetime) -> dict[tuple[str, datetime], float]:
    """Return the close of each bar as it was known at an instant."""
    rows = lake.read_as_of(BARS, at).select("symbol", "event_time", "close_unadjusted")
    return {(symbol, stamp): close for symbol, stamp, close in rows.iter_rows()}


def test_s01_a_file_is_the_frame_that_was_written_by_hand(path: Path) -> None:
    rows = write(path, prices(days=DAYS[:2])).read(None, NOW).rows
    expected = pl.DataFrame(
        {
            "symbol": ["AAA", "BBB", "AAA", "BBB"],
            "stamp": ["2012-12-20T21:00:00.000000+00:00"] * 2 + ["2012-12-21T21:00:00.000000+00:00"] * 2,
            "open": ["20.00", "21.00", "20.10", "21.10"],
            "close": ["20.00", "21.00", "20.10", "21.10"],
            "volume": ["1000"] * 4,
            "price_basis": ["as_traded"] * 4,
        }
    )
    assert_frame_equal(rows.select(expected.columns), expected)
    assert rows["known_time"].to_list() == rows["event_time"].to_list()


def test_s04_a_span_without_rows_is_empty_and_a_file_without_rows_an_error(path: Path) -> None:
    assert write(path, prices()).read(LAST, NOW).rows.is_empty()
    with pytest.raises(SourceError, match="has column names and no rows"):
        write(path, {}).read(None, NOW)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"Date,Ticker\n" * 99)[:-12], "cannot be read"),
        (b"PAR1 and no more", "begins as Parquet and is damaged"),
        (b"<!doctype html><title>Sign in</title>", "has"),
    ],
    ids=["packed body that ends", "cut Parquet", "a page of a proxy"],
)
def test_s09_a_torn_file_is_refused_and_never_gives_rows(path: Path, lake: Lake, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        store(lake, FileSource(mapping_of(path)))
    assert not lake.exists(RAW_BARS)


def test_s09_a_line_that_is_cut_gives_no_bar(path: Path, lake: Lake) -> None:
    store(lake, write(path, prices(), line(DAYS[0], "CCC", "20.00")[:25]))
    assert set(lake.read(BARS)["symbol"]) == {"AAA", "BBB"}
    assert lake.read(QUARANTINE)["reason"].to_list() == ["missing_value"]


def test_s10_no_value_is_null_and_no_row_is_lost(path: Path) -> None:
    words = ["", "-", ".", "None", "null", "NaN", "n/a"]
    lines = [f"{day},CCC,{word},,,20.00,{word}" for day, word in zip(DAYS, words, strict=True)]
    rows = write(path, {}, *lines).read(None, NOW).rows
    assert rows.height == len(words)
    assert rows.select("open", "volume").null_count().row(0) == (len(words), len(words))
    assert rows["close"].null_count() == 0


def test_s11_a_new_column_is_ignored_one_that_is_gone_is_named_and_another_type_is_refused_by_row(
    path: Path, lake: Lake
) -> None:
    source = write(path, prices())
    whole = source.read(None, NOW).rows.height
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{lines[0]},Unheard", *(f"{each},x" for each in lines[1:])]))
    assert source.read(None, NOW).rows.height == whole
    path.write_text("\n".join([lines[0].replace("Close", "Last"), *lines[1:]]))
    with pytest.raises(UnknownNameError, match="'Close'"):
        source.read(None, NOW)
    path.write_text("\n".join([lines[0], lines[1].replace("20.00,1000", "twenty,1000"), *lines[2:]]))
    store(lake, source)
    assert lake.read(QUARANTINE)["reason"].to_list() == ["unreadable_number"]
    assert lake.read(BARS).height == whole - 1


def test_s12_what_the_file_holds_twice_is_one_bar(path: Path, lake: Lake) -> None:
    store(lake, write(path, prices(), line(DAYS[0], "AAA", "20.00")))
    assert lake.read(BARS).height == 2 * len(DAYS)
    assert lake.read(QUARANTINE)["reason"].to_list() == ["duplicate"]


def test_s13_a_corrected_row_is_stored_beside_the_first_and_known_from_its_run(path: Path, lake: Lake) -> None:
    told, bar = prices(), ("BBB", close_of(DAYS[2]))
    store(lake, write(path, told))
    assert store(lake, write(path, told | {(DAYS[2], "BBB"): "21.25"}), NOW + A_DAY) == 1
    assert as_of(lake, NOW + A_DAY - timedelta(microseconds=1))[bar] == 21.2
    assert as_of(lake, NOW + A_DAY)[bar] == 21.25


def test_s14_and_s15_the_same_file_again_adds_nothing(path: Path, lake: Lake) -> None:
    assert store(lake, write(path, prices())) == 2 * len(DAYS)
    before = lake.versions([RAW_BARS, BARS])
    for days in (1, 2):
        assert store(lake, write(path, prices()), NOW + days * A_DAY) == 0
    assert lake.versions([RAW_BARS, BARS]) == before


def test_s16_a_run_that_was_killed_before_its_commit_is_made_good(
    path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(path, prices())
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append", killed)
        with pytest.raises(KilledError):
            store(lake, source)
    assert store(lake, source) == 2 * len(DAYS)


def test_s17_symbols_and_days_in_any_order_with_runs_that_were_killed_leave_no_gap(
    path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, whole, told = random.Random(17), prices(("AAA", "BBB", "CCC")), Prices()
    for number, key in enumerate(chance.sample([*whole], len(whole))):
        told[key] = whole[key]
        if number % 4 == 0:
            with monkeypatch.context() as patch, suppress(KilledError):
                if chance.random() < 0.2:
                    patch.setattr(Lake, "append", killed)
                store(lake, write(path, told), NOW + number * A_DAY)
    store(lake, write(path, whole), NOW + 99 * A_DAY)
    assert lake.read(RAW_BARS).height == len(whole)
    found = {(symbol, at): close for (symbol, at), close in as_of(lake, NOW + 99 * A_DAY).items()}
    assert found == {(symbol, close_of(day)): float(close) for (day, symbol), close in whole.items()}


def test_s18_and_s19_a_row_of_a_session_that_is_open_or_to_come_is_no_bar_yet(path: Path, lake: Lake) -> None:
    source = write(path, prices(days=[*DAYS, date(2013, 1, 10)]))
    assert source.read(None, LAST - timedelta(hours=3)).rows["event_time"].max() == close_of(DAYS[-2])
    store(lake, source)
    assert lake.read(BARS)["event_time"].max() == LAST
    rows = lake.read(RAW_BARS)
    assert (rows["known_time"] >= rows["event_time"]).all()
    assert store(lake, source, close_of(date(2013, 1, 10))) == 2


def test_s20_closes_are_those_of_the_calendar_in_summer_winter_and_on_half_days(path: Path) -> None:
    for first, last in (("2012-03-07", "2012-03-14"), ("2012-10-31", "2012-11-07"), ("2012-11-20", "2012-11-27")):
        sessions = closes().filter(pl.col("session").is_between(date.fromisoformat(first), date.fromisoformat(last)))
        rows = write(path, prices(("AAA",), sessions["session"].to_list())).read(None, NOW).rows
        assert rows["event_time"].to_list() == sessions["event_time"].to_list()
    assert datetime(2012, 11, 23, 18, tzinfo=UTC) in rows["event_time"].to_list()


STEPS = st.one_of(
    st.tuples(
        st.just("tell"), st.sampled_from(DAYS), st.sampled_from(["AAA", "BBB"]), st.sampled_from(["20.00", "20.50"])
    ),
    st.tuples(st.just("tear")),
    st.tuples(st.just("run")),
    st.tuples(st.just("run")),
)


def run_script(steps: list[tuple[Any, ...]]) -> None:
    """Write, tear and run; the lake as of each run must be what the file held then, for ever.

    A bar after the newest close of the file counts as known from its own close, and is left out of the runs before.
    """
    with TemporaryDirectory() as folder:
        Market("desk", "file", index="AAA", first_year=2012).write(Path(folder))
        lake, path, told = Lake(Path(folder) / "tables"), Path(folder) / "prices.csv", prices(days=DAYS[:1])
        at, known = NOW, []
        for step, *values in [*steps, ("run",)]:
            at += A_DAY
            if step == "tell":
                told[values[0], values[1]] = values[2]
            source = write(path, told)
            if step == "tear":
                path.write_bytes(gzip.compress(path.read_bytes())[:-12])
                with pytest.raises(SourceError):
                    store(lake, source, at)
            elif step == "run":
                store(lake, source, at)
                known.append((at, {(name, close_of(day)): float(close) for (day, name), close in told.items()}))
        for when, values in known:
            newest = max(at for _, at in values)
            assert {bar: close for bar, close in as_of(lake, when).items() if bar[1] <= newest} == values
        assert newest_known(lake.read(BARS)).height == len(told)


def test_s23_whatever_happens_the_lake_knows_what_was_told_when() -> None:
    judge_scripts(STEPS, run_script, tries=15, longest=6)


@pytest.mark.slow
def test_s23_three_hundred_scripts() -> None:
    judge_scripts(STEPS, run_script, tries=300, longest=12)
