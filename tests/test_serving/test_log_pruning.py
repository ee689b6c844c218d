"""Forecasts that are in the lake leave the log after the retention; whatever waits stays, and space is given back."""

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lake.store import Lake
from lake.tables import FORECASTS, RECEIPTS
from serving.forecast_log import (
    ForecastLog,
    LogReader,
    LogTail,
    drain,
    log_files,
    log_path,
    log_paths,
    look_at_log,
    open_log,
    prune,
    pruning,
    user_data,
)
from serving.forecast_log.latest import LatestForecasts
from serving.forecast_log.log_files import size_of
from support.log import flip_bit, sealed_entry

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OLD, NEW = NOW - timedelta(hours=25), NOW - timedelta(hours=1)


@pytest.fixture
def lake(settings: Any) -> Lake:
    return Lake.open(settings)


def ids(path: Path) -> list[str]:
    with closing(open_log(path)) as connection:
        return [one for (one,) in connection.execute("SELECT forecast_id FROM forecasts ORDER BY sequence")]


def pragma(path: Path, name: str) -> int:
    with closing(open_log(path)) as connection:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def test_what_is_in_the_lake_leaves_after_the_retention_and_nothing_else(
    settings: Any, lake: Lake, log: ForecastLog
) -> None:
    log.write([sealed_entry("old", made_at=OLD), sealed_entry("new", made_at=NEW)])
    drain(lake, settings)
    log.write([sealed_entry("waits", made_at=OLD)])
    report = prune(lake, settings, NOW)
    assert (report.rows, report.skipped) == (1, False)
    assert ids(log.path) == ["new", "waits"]
    again = prune(lake, settings, NOW)
    assert (again.rows, again.skipped) == (0, True)
    assert "older than 24 hours" in again.details["reason"]
    drain(lake, settings)
    assert sorted(lake.read(FORECASTS)["forecast_id"]) == sorted(lake.read(RECEIPTS)["forecast_id"])
    assert lake.read(FORECASTS).height == 3


def test_the_retention_is_a_setting(settings: Any, lake: Lake, log: ForecastLog) -> None:
    log.write([sealed_entry("new", made_at=NEW)])
    drain(lake, settings)
    short = settings.model_copy(update={"log_retention_hours": 0.5})
    assert (prune(lake, settings, NOW).rows, prune(lake, short, NOW).rows) == (0, 1)


def test_a_row_that_the_lake_does_not_hold_waits_again_instead_of_being_deleted(
    settings: Any, lake: Lake, log: ForecastLog, tmp_path: Path
) -> None:
    log.write([sealed_entry("a", made_at=OLD)])
    drain(lake, settings)
    for name in (FORECASTS.name, RECEIPTS.name):  # as a restore of the lake from before the drain would
        (lake.root / name).rename(tmp_path / name)
        report = prune(lake, settings, NOW)
        assert (report.rows, report.details["waiting_again"]) == (0, 1)
        assert ids(log.path) == ["a"]
        assert drain(lake, settings).details["answers"] == 1
    assert prune(lake, settings, NOW).rows == 1
    assert lake.read(FORECASTS)["forecast_id"].to_list() == lake.read(RECEIPTS)["forecast_id"].to_list() == ["a"]


def test_without_asking_the_lake_such_a_row_would_be_lost(
    settings: Any, lake: Lake, log: ForecastLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above."""
    monkeypatch.setattr(pruning, "_held", lambda _, rows: {row.forecast_id for row in rows})
    log.write([sealed_entry("a", made_at=OLD)])
    drain(lake, settings)
    (lake.root / FORECASTS.name).rename(tmp_path / FORECASTS.name)
    assert prune(lake, settings, NOW).rows == 1
    assert ids(log.path) == []


def test_space_is_given_back_and_what_was_shared_goes_with_the_last_that_shared_it(
    settings: Any, lake: Lake, log: ForecastLog
) -> None:
    log.write([sealed_entry(made_at=OLD, session="1") for _ in range(600)])
    log.write([sealed_entry("stays", made_at=NEW, session="2")])
    drain(lake, settings)
    before = size_of(log.path)
    report = prune(lake, settings, NOW)
    assert report.rows == 600
    assert size_of(log.path) == report.details["bytes_after"] < before / 4
    assert pragma(log.path, "freelist_count") == 0
    stays = LogReader(settings).get("stays")
    assert stays is not None
    with closing(open_log(log.path)) as connection:
        assert connection.execute("SELECT count(*) FROM parts").fetchone() == (2,)
    assert '"seal":"' in stays.receipt
    assert '"prediction_id":"stays"' in stays.answer
    assert look_at_log(settings).bytes == size_of(log.path)


def test_answers_of_one_session_share_what_they_have_in_common(log: ForecastLog) -> None:
    entries = [sealed_entry(made_at=NEW) for _ in range(400)]
    log.write(entries)
    whole = sum(len(one.answer) + len(one.receipt) for one in entries) / len(entries)
    with closing(open_log(log.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        stored = connection.execute("SELECT answer, receipt FROM logged ORDER BY sequence").fetchall()
    assert stored == [(one.answer, one.receipt) for one in entries]
    assert log.path.stat().st_size / len(entries) < 0.55 * whole


def test_sequence_numbers_are_never_given_twice(settings: Any, lake: Lake, log: ForecastLog) -> None:
    log.write([sealed_entry(made_at=OLD) for _ in range(5)])
    drain(lake, settings)
    tail = LogTail(settings)
    assert prune(lake, settings, NOW).rows == 5
    log.write([sealed_entry("next", made_at=NEW)])
    with closing(open_log(log.path)) as connection:
        assert connection.execute("SELECT sequence FROM forecasts").fetchall() == [(6,)]
    assert [one.forecast_id for one in tail.read()] == ["next"]
    tail.close()


def test_look_ups_go_on_from_the_lake(settings: Any, lake: Lake, log: ForecastLog) -> None:
    log.write([sealed_entry("a", made_at=OLD)])
    drain(lake, settings)
    prune(lake, settings, NOW)
    latest = LatestForecasts(settings, LogReader(settings))
    found = latest.newest("AAPL", 1)
    assert found is not None
    assert found.source == "table"
    latest.heal()
    latest.close()


def test_who_asked_is_forgotten_with_the_row_and_its_bytes_are_gone(
    settings: Any, lake: Lake, log: ForecastLog
) -> None:
    log.write([sealed_entry("old", made_at=OLD, key_id="SOMEBODY"), sealed_entry("b", made_at=NEW, key_id="ELSE")])
    drain(lake, settings)
    prune(lake, settings, NOW)
    assert user_data._askers(log.path) == {"ELSE"}
    assert all(b"SOMEBODY" not in path.read_bytes() for path in settings.home.glob("forecast_log.sqlite*"))


def test_a_file_of_an_older_version_is_rewritten_once_no_service_writes_to_it(
    settings: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.home.mkdir()
    with closing(sqlite3.connect(log_path(settings))) as old:
        old.executescript(log_files.SCHEMA + log_files.SECOND + log_files.THIRD)
    log = ForecastLog.open(settings)
    log.write([sealed_entry(made_at=OLD) for _ in range(300)])
    drain(lake, settings)
    assert prune(lake, settings, NOW).rows == 300
    assert pragma(log.path, "auto_vacuum") == 0
    large = size_of(log.path)
    log.close()
    prune(lake, settings, NOW)
    assert pragma(log.path, "auto_vacuum") == 2
    assert size_of(log.path) < large / 2


def test_a_row_whose_index_does_not_fit_it_any_more_hinders_no_other(settings: Any, lake: Lake) -> None:
    log = ForecastLog.open(settings)
    log.write([sealed_entry(str(number), made_at=OLD) for number in range(3)])
    log.close()
    drain(lake, settings)
    flip_bit(log.path, "1", "symbol", at=1)  # the symbol is another one, and the index does not know
    assert prune(lake, settings, NOW).rows == 2
    assert ids(log.path) == ["1"]
    assert LogReader(settings).get("1") is None


def test_answers_are_written_while_the_log_is_pruned(settings: Any, lake: Lake, log: ForecastLog) -> None:
    log.write([sealed_entry(made_at=OLD) for _ in range(2_000)])
    drain(lake, settings)
    written: list[str] = []
    is_over = threading.Event()

    def write() -> None:
        while not is_over.is_set():
            entry = sealed_entry(made_at=NEW)
            log.write([entry])
            written.append(entry.row["forecast_id"])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert prune(lake, settings, NOW).rows == 2_000
    finally:
        is_over.set()
        thread.join()
    assert written
    assert ids(log.path) == written


KILLED = """
import sys
from datetime import UTC, datetime
from lake.settings import Settings
from lake.store import Lake
from serving.forecast_log import draining, pruning
from serving.forecast_log.draining import drain
from serving.forecast_log.writing import ForecastLog
from serving.forecast_log.pruning import prune
from support.log import sealed_entry
settings = Settings(home={home!r}, log_retention_hours=0)
draining.MARKED_AT_ONCE, pruning.DELETED_AT_ONCE, pruning.PAGES_AT_ONCE = 3, 3, 2
lake, log = Lake.open(settings), ForecastLog.open(settings)
while True:
    entries = [sealed_entry(made_at=datetime.now(UTC)) for _ in range(10)]
    log.write(entries)
    print(*(one.row["forecast_id"] for one in entries), sep="\\n", flush=True)
    drain(lake, settings)
    prune(lake, settings)
"""


def killed_once(settings: Any, lines: int) -> list[str]:
    """What a process that writes, drains and prunes without end had acknowledged when it was killed."""
    code = KILLED.format(home=str(settings.home))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    told += [line.strip() for line in process.stdout if len(line) == 37]
    process.stdout.close()
    process.wait()
    return told


@pytest.mark.parametrize("lines", [25, pytest.param(range(11, 400, 13), marks=pytest.mark.slow)])
def test_kill_9_while_it_drains_and_prunes_loses_and_doubles_nothing(settings: Any, lake: Lake, lines: Any) -> None:
    told = [one for number in ([lines] if isinstance(lines, int) else lines) for one in killed_once(settings, number)]
    drain(lake, settings)
    stored = lake.read(FORECASTS)["forecast_id"]
    assert stored.is_unique().all()
    assert set(told) <= set(stored) == set(lake.read(RECEIPTS)["forecast_id"])
    prune(lake, settings, datetime.now(UTC) + timedelta(days=2))
    assert [ids(path) for path in log_paths(settings)] == [[]]
    with closing(sqlite3.connect(log_path(settings))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
