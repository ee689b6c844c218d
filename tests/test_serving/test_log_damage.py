"""A log file that SQLite cannot read: named with its remedy, moved aside, salvaged; answering and the drain go on."""

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lake.store import Lake
from lake.tables import FORECASTS
from serving.forecast_log import (
    ForecastLog,
    LogReader,
    LogTail,
    damage,
    drain,
    log_path,
    look_at_log,
    open_log,
    quarantine,
)
from serving.forecast_log.salvage import salvage
from support.log import sealed_entry

COUNT = 60


@pytest.fixture
def lake(settings: Any) -> Lake:
    return Lake.open(settings)


def fill(settings: Any, count: int = COUNT) -> list[str]:
    """Forecasts in one file that nobody has open, everything in the main file."""
    names = [f"{number:03}" for number in range(count)]
    log = ForecastLog.open(settings)
    for name in names:
        log.write([sealed_entry(name)])
    log.close()
    with closing(sqlite3.connect(log.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return names


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all\n" * 5_000)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def tear_a_page(path: Path) -> None:
    """Overwrite one leaf page of the table in the middle of the file."""
    content = bytearray(path.read_bytes())
    at = content.index(b'{"forecast_id":"030"')
    page = 8_192
    start = at // page * page
    content[start : start + page] = b"\xff" * page
    path.write_bytes(content)


DAMAGES: list[tuple[Callable[[Path], None], str, int]] = [
    (garbage, "is no SQLite database", 0),
    (truncate, "is cut off", 4),
    (tear_a_page, "is damaged", COUNT - 8),
]


@pytest.mark.parametrize(("spoil", "word", "least"), DAMAGES, ids=["garbage", "truncated", "torn page"])
def test_the_service_starts_and_the_drain_salvages_what_can_be_read(
    settings: Any, lake: Lake, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None], word: str, least: int
) -> None:
    names = fill(settings)
    spoil(log_path(settings))
    bytes_then = log_path(settings).read_bytes()
    ((path, what, remedy),) = damage.examine_files(settings)
    assert (path, word in what, "forecasts drain" in remedy) == (log_path(settings), True, True)
    with caplog.at_level(logging.ERROR):
        log = ForecastLog.open(settings)
    (record,) = caplog.records
    said = record.getMessage()
    assert all(part in said for part in (str(path), word, "moved to", "quantlake forecasts drain"))
    assert len(said) < 600
    assert record.exc_info is None
    log.write([sealed_entry("after")])
    assert LogReader(settings).get("after") is not None
    (aside,) = damage.moved_aside(settings)
    assert aside.read_bytes() == bytes_then, "never changed, never deleted"
    assert damage.examine_files(settings) == [(aside, "was damaged and moved aside", damage.LEFT)]
    assert look_at_log(settings).damaged == 1
    report = drain(lake, settings)
    assert any(aside.name in sentence for sentence in report.warnings)
    stored = set(lake.read(FORECASTS)["forecast_id"])
    assert "after" in stored
    assert stored <= {*names, "after"}
    assert len(stored) - 1 >= least
    assert damage.examine_files(settings) == []
    assert aside.exists()
    assert drain(lake, settings).skipped
    log.close()


@pytest.mark.parametrize(("spoil", "word", "least"), DAMAGES, ids=["garbage", "truncated", "torn page"])
def test_the_drain_alone_moves_it_aside_and_brings_in_the_other_files(
    settings: Any, lake: Lake, spoil: Callable[[Path], None], word: str, least: int
) -> None:
    fill(settings)
    first, second = ForecastLog.open(settings), ForecastLog.open(settings)
    second.write([sealed_entry("second")])
    first.close()
    second.close()
    spoil(log_path(settings))
    report = drain(lake, settings)
    assert report.details["answers"] >= least + 1
    assert "second" in lake.read(FORECASTS)["forecast_id"].to_list()
    assert sum(word in sentence for sentence in report.warnings) == 1
    assert all(len(sentence) < 600 for sentence in report.warnings)


def test_rows_whose_shared_part_is_lost_go_into_quarantine(settings: Any, lake: Lake) -> None:
    fill(settings, 3)
    content = bytearray(log_path(settings).read_bytes())
    at = content.index(b"No advice to buy") // 8_192 * 8_192  # the page of what the answers share
    content[at : at + 8_192] = b"\xff" * 8_192
    log_path(settings).write_bytes(content)
    drain(lake, settings)
    held = quarantine.quarantined_forecasts(settings, "waiting")
    assert [entry.logged.forecast_id for entry in held] == ["000", "001", "002"]
    assert {entry.reason for entry in held} == {"the part it shares with other forecasts is missing from the log file"}


def test_a_file_damaged_while_the_service_writes_begins_anew_with_other_numbers(
    settings: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, tail = ForecastLog.open(settings), LogTail(settings)
    log.write([sealed_entry("a")])
    with closing(open_log(log.path)) as connection:
        (last,) = connection.execute("SELECT max(sequence) FROM forecasts").fetchone()
    assert [one.forecast_id for one in tail.read()] == ["a"]
    garbage(log.path)
    for suffix in ("-wal", "-shm"):
        garbage(log.path.with_name(f"{log.path.name}{suffix}"))
    log.write([sealed_entry("b")])
    log.write([sealed_entry("c")])
    tail._look_at = 0.0
    assert {"b", "c"} <= {one.forecast_id for one in tail.read()}
    with closing(open_log(log.path)) as connection:
        (first,) = connection.execute("SELECT min(sequence) FROM forecasts WHERE forecast_id <> 'a'").fetchone()
    assert first > last
    drain(lake, settings)
    assert {"b", "c"} <= set(lake.read(FORECASTS)["forecast_id"])
    tail.close()
    log.close()


def test_readers_of_other_files_go_on_beside_a_damaged_one(settings: Any) -> None:
    fill(settings)
    first, second = ForecastLog.open(settings), ForecastLog.open(settings)
    second.write([sealed_entry("second")])
    first.close()
    logged = LogReader(settings)
    assert logged.get("030") is not None
    garbage(log_path(settings))
    assert LogReader(settings).get("second") is not None
    assert logged.newest("AAPL", 1) is not None
    second.close()


def test_a_salvage_that_was_cut_off_is_done_again_and_doubles_nothing(
    settings: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings)
    tear_a_page(log_path(settings))

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("serving.forecast_log.draining.write_private", die)
        with pytest.raises(KeyboardInterrupt):
            drain(lake, settings)
    once = lake.read(FORECASTS).height
    assert drain(lake, settings).added == 0
    assert lake.read(FORECASTS).height == once
    (told,) = settings.home.glob(f"*{damage.DONE}")
    assert json.loads(told.read_text())["read"] == once


def test_a_file_of_which_nothing_can_be_read_takes_no_time(tmp_path: Path) -> None:
    garbage(tmp_path / "x")
    found = salvage(tmp_path / "x")
    assert (found.rows, found.is_complete) == ([], False)


def test_a_whole_file_and_one_that_is_locked_are_left_alone(settings: Any) -> None:
    fill(settings, 3)
    assert damage.fault_of(log_path(settings)) == ""
    with closing(sqlite3.connect(log_path(settings), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert damage.set_aside_damaged(settings, seconds=0.1) == []
        other.execute("ROLLBACK")
    assert damage.examine_files(settings) == []
    assert damage.set_aside(log_path(settings), "is damaged", (0, 0)) == ""
    log_path(settings).write_bytes(b"")
    assert "is empty" in damage.examine_files(settings)[0][1]
