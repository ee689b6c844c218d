"""Price files of bars of minutes: what a time means is asked, never guessed, and every bar ends on the grid."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lake.calendars import session_closes
from lake.errors import ConfigError
from lake.market import BTC, Market
from lake.refine import refine_bars
from lake.sources import mapping_of, open_source
from lake.sources.files import FileMapping, FileSource, inspect_file

END = datetime(2030, 1, 1, tzinfo=UTC)
WEEK = session_closes(datetime(2024, 11, 25, tzinfo=UTC), datetime(2024, 12, 7, tzinfo=UTC), "XNYS@15m")
"""With Thanksgiving and the half day after it."""


def write(path: Path, times: list[str]) -> Path:
    """Write closes of one symbol, which goes up and down."""
    pl.DataFrame(
        {"Time": times, "Ticker": "AAA", "Close": [f"{10 + n % 7 / 100:.2f}" for n in range(len(times))]}
    ).write_csv(path)
    return path


def source_of(proposal_of: Path, **given: object) -> FileSource:
    return FileSource(inspect_file(proposal_of, given=given).settled())


@pytest.mark.parametrize(("stamp", "earlier"), [("close", 0), ("open", 15)])
def test_what_a_time_means_is_asked_and_never_guessed(stamp: str, earlier: int, tmp_path: Path) -> None:
    times = [(at - timedelta(minutes=earlier)).isoformat(sep=" ") for at in WEEK]
    file = write(tmp_path / "prices.csv", times)
    asked = inspect_file(file)
    assert [question.field for question in asked.questions] == ["stamp"]
    assert asked.questions[0].options == ("stamp=open", "stamp=close")
    settled = inspect_file(file, given={"stamp": stamp, "price_basis": "split_adjusted"})
    mapping = settled.settled()
    assert (mapping.interval, mapping.calendar, mapping.grid) == ("15m", "XNYS", "XNYS@15m")
    assert (settled.loaded, settled.refused) == (len(WEEK), ())
    rows = FileSource(mapping).read(None, END).rows.filter(pl.col("symbol") == "AAA")
    assert rows["event_time"].to_list() == WEEK
    assert refine_bars(rows, calendar=mapping.grid).quarantine.is_empty()


def test_times_without_an_offset_need_their_zone(tmp_path: Path) -> None:
    local = pl.Series(WEEK).dt.convert_time_zone("America/New_York").dt.strftime("%Y-%m-%d %H:%M").to_list()
    file = write(tmp_path / "prices.csv", local)
    assert [question.field for question in inspect_file(file, given={"stamp": "close"}).questions] == ["zone"]
    given = {"stamp": "close", "zone": "America/New_York", "price_basis": "split_adjusted"}
    rows = source_of(file, **given).read(None, END).rows.filter(pl.col("symbol") == "AAA")
    assert rows["event_time"].to_list() == WEEK


def test_a_time_off_the_grid_is_refused_with_its_reason(tmp_path: Path) -> None:
    times = [at.isoformat(sep=" ") for at in (*WEEK, WEEK[-1] + timedelta(hours=3), WEEK[3] + timedelta(seconds=7))]
    proposal = inspect_file(
        write(tmp_path / "prices.csv", times), given={"stamp": "close", "price_basis": "split_adjusted"}
    )
    assert proposal.loaded == len(WEEK)
    assert [(each.reason, each.rows) for each in proposal.refused] == [("not_a_session_close", 2)]


def test_a_mapping_of_minutes_says_what_a_time_is(tmp_path: Path) -> None:
    values = {
        "path": str(tmp_path / "p.csv"),
        "layout": "wide",
        "time": "Time",
        "time_format": "%Y-%m-%d",
        "calendar": "24/7",
        "price_basis": "split_adjusted",
        "interval": "15m",
    }
    with pytest.raises(ConfigError, match="Set stamp to open or close"):
        FileMapping.from_dict(values)


def test_a_feed_of_daily_bars_is_no_source_of_minutes() -> None:
    market = Market("us", source="yahoo", interval="15m", horizons=("15 minutes",), options={"symbols": ["AAPL"]})
    with pytest.raises(ConfigError, match="tells daily bars, and those of the market 'us' are of 15m"):
        open_source("yahoo", market)


def test_the_packaged_bitcoin_file_is_read_bar_by_bar() -> None:
    """Snapshots at the seams of its downloads are off the grid; the last row of a bar that came twice counts."""
    rows = open_source("file", BTC).read(None, END).rows
    refined = refine_bars(rows, calendar=BTC.grid)
    own = refined.bars.filter(pl.col("symbol") == "BTC-USD")
    assert (own.height, own["event_time"].min()) == (8_686, datetime(2021, 9, 27, 14, tzinfo=UTC))
    assert own["close"].is_between(35_000, 70_000).all()
    reasons = dict(refined.quarantine.group_by("reason").len().iter_rows())
    assert reasons == {"duplicate": 32, "not_a_session_close": 3}
    assert set(rows["licence"]) == {"MIT"}
    assert mapping_of(BTC).stamp == "open"
