import json
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import polars as pl
import pytest

from lake.errors import LogError
from lake.store import Lake
from lake.tables import FORECASTS
from serving.forecast_log import (
    ForecastLog,
    LogEntry,
    LogReader,
    LogTail,
    drain,
    draining,
    log_files,
    log_path,
    log_reading,
    open_log,
    quarantine,
    row_as_json,
    writing,
)
from serving.forecast_log.log_files import SCHEMA
from support.log import forecast_row


def test_an_answer_comes_back_byte_for_byte(log, logged):
    said = forecast_row()
    text = '{"prediction_id": "é",  "p50":0.1}'
    log.write([LogEntry(said, text)])
    assert logged.get(said["forecast_id"]).answer == text
    assert logged.get("another") is None


def test_an_answer_is_on_disk_when_it_is_written(log):
    said = forecast_row()
    log.write([LogEntry(said, "{}")])
    with closing(sqlite3.connect(log.path)) as other:
        assert other.execute("SELECT count(*) FROM forecasts").fetchone() == (1,)


def test_what_many_threads_write_is_there_once_and_together(log, logged):
    said = [[forecast_row() for _ in range(5)] for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda rows: log.write([LogEntry(row, "{}") for row in rows]), said))
    with closing(sqlite3.connect(log.path)) as other:
        stored = [name for (name,) in other.execute("SELECT forecast_id FROM forecasts ORDER BY sequence")]
    together = {tuple(row["forecast_id"] for row in rows) for rows in said}
    assert {tuple(stored[at : at + 5]) for at in range(0, 200, 5)} == together
    assert logged.count() == 200


def test_a_thread_waits_for_another_process_and_not_for_ever(settings, monkeypatch):
    monkeypatch.setattr(log_files, "BUSY_SECONDS", 0.05)
    log = ForecastLog.open(settings)
    with closing(sqlite3.connect(log.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogError, match="locked"):
            log.write([LogEntry(forecast_row(), "{}")])
        other.execute("COMMIT")
    log.write([LogEntry(forecast_row(), "{}")])
    assert LogReader(settings).count() == 1
    log.close()


def test_a_thread_waits_for_another_thread_and_not_for_ever(log, logged, monkeypatch):
    monkeypatch.setattr(writing, "TURN_SECONDS", 0.05)
    is_at_work, may_go_on = threading.Event(), threading.Event()
    commit = writing._commit

    def hang(*given):
        is_at_work.set()
        may_go_on.wait(120)
        commit(*given)

    monkeypatch.setattr(writing, "_commit", hang)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(log.write, [LogEntry(forecast_row(), "{}")])
        is_at_work.wait(120)
        for write in (lambda: log.write([LogEntry(forecast_row(), "{}")]), log.require_writable):
            with pytest.raises(LogError, match="took nothing"):
                write()
        may_go_on.set()
        first.result(20)
    log.write([LogEntry(forecast_row(), "{}")])
    assert logged.count() == 2


def test_a_log_that_is_closed_says_so(settings):
    log = ForecastLog.open(settings)
    log.close()
    for write in (lambda: log.write([LogEntry(forecast_row(), "{}")]), log.require_writable):
        with pytest.raises(LogError, match="closed"):
            write()
    log.close()


def test_it_flushes_to_disk_on_every_commit(log):
    with closing(open_log(log.path)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_log_that_cannot_be_written_says_so_and_goes_on(log, logged):
    said = forecast_row()
    log.write([LogEntry(said, "{}")])
    with pytest.raises(LogError, match="No answer was sent"):
        log.write([LogEntry(said, "{}")])
    log.write([LogEntry(forecast_row(), "{}")])
    assert logged.count() == 2


def test_what_is_no_number_never_reaches_the_log(log, logged):
    with pytest.raises(ValueError, match="JSON compliant"):
        log.write([LogEntry(forecast_row(p50=float("nan")), "{}")])
    assert logged.count() == 0


def test_each_process_that_writes_has_a_file_of_its_own_and_a_reader_sees_them_all(settings, logged):
    first, second = ForecastLog.open(settings), ForecastLog.open(settings)
    assert {first.path, second.path} == {log_path(settings, 0), log_path(settings, 1)}
    for _ in range(100):
        for log in (first, second):
            log.write([LogEntry(forecast_row(), "{}")])
    assert logged.count() == 200
    first.close()
    second.close()


def test_a_file_is_let_go_when_its_process_stops(settings):
    first = ForecastLog.open(settings)
    first.close()
    second = ForecastLog.open(settings)
    assert second.path == first.path
    second.close()


def test_the_newest_forecast_is_the_last_made_in_any_file_and_never_a_challengers(settings, logged):
    first, second = ForecastLog.open(settings), ForecastLog.open(settings)
    made = [datetime(2026, 11, 21, 12, minute, tzinfo=UTC) for minute in range(4)]
    ids = [str(uuid.uuid4()) for _ in made]
    kinds = ["served", "scheduled", "served", "shadow"]
    for log, n in ((first, 0), (second, 2), (first, 1), (second, 3)):
        log.write([LogEntry(forecast_row(ids[n], made_at=made[n], kind=kinds[n]), "{}")])
    assert logged.newest("AAPL", 1).forecast_id == ids[2]
    assert logged.newest("AAPL", 5) is None
    first.close()
    second.close()


def test_a_tail_gives_what_is_new_once_and_in_order(settings):
    old = ForecastLog.open(settings)
    old.write([LogEntry(forecast_row(), "{}")])
    tail = LogTail(settings)
    assert tail.read() == []
    said = [forecast_row() for _ in range(50)]
    for one in said:
        old.write([LogEntry(one, "{}")])
    old.close()
    assert [stored.forecast_id for stored in tail.read()] == [one["forecast_id"] for one in said]
    assert tail.read() == []
    tail.close()


def test_a_tail_that_fails_at_one_file_loses_nothing_of_the_others(settings, monkeypatch):
    first, second = ForecastLog.open(settings), ForecastLog.open(settings)
    tail = LogTail(settings)
    for log, name in ((first, "a"), (second, "b")):
        log.write([LogEntry(forecast_row(name), "{}")])
    rows = log_reading._rows

    def fail(path, *given, **more):
        if path == second.path:
            raise sqlite3.OperationalError("disk I/O error")
        return rows(path, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(log_reading, "_rows", fail)
        with pytest.raises(sqlite3.OperationalError):
            tail.read()
    assert {stored.forecast_id for stored in tail.read()} == {"a", "b"}
    assert tail.read() == []
    tail.close()
    first.close()
    second.close()


def test_a_tail_that_cannot_begin_with_a_file_begins_with_it_later(settings, monkeypatch):
    first = ForecastLog.open(settings)
    tail = LogTail(settings)
    monkeypatch.setattr(log_reading, "LOOK_SECONDS", 0.0)
    tail._look_at = 0.0
    second = ForecastLog.open(settings)
    second.write([LogEntry(forecast_row("a"), "{}")])
    with monkeypatch.context() as patch:
        patch.setattr(log_reading, "LAST", "SELECT seq FROM nowhere")
        with pytest.raises(sqlite3.OperationalError):
            tail.read()
    assert [stored.forecast_id for stored in tail.read()] == ["a"]
    tail.close()
    first.close()
    second.close()


def test_what_follows_a_commit_is_told_in_order_and_cannot_break_it(settings, logged):
    told = []

    def tell(entries):
        told.extend(entry.row["forecast_id"] for entry in entries)
        raise RuntimeError("no cache")

    log = ForecastLog.open(settings, tell)
    said = [forecast_row() for _ in range(20)]
    for one in said:
        log.write([LogEntry(one, "{}")])
    log.close()
    assert told == [one["forecast_id"] for one in said]
    assert logged.count() == 20


def test_the_file_of_an_older_home_is_brought_up_to_date_with_all_its_rows(settings, logged):
    said = forecast_row()
    settings.home.mkdir()
    with closing(sqlite3.connect(log_path(settings))) as old, old:
        old.executescript(SCHEMA)
        values = (said["forecast_id"], row_as_json(said), "{}")
        old.execute("INSERT INTO forecasts (forecast_id, row, answer) VALUES (?, ?, ?)", values)
    log = ForecastLog.open(settings)
    log.write([LogEntry(forecast_row(horizon_sessions=5), "{}", '{"receipt": 1}')])
    log.close()
    assert logged.newest("AAPL", 1).forecast_id == said["forecast_id"]
    assert logged.newest("AAPL", 5).receipt == '{"receipt": 1}'


def test_draining_brings_every_answer_into_the_lake_once(log, settings):
    lake = Lake.open(settings)
    said = [forecast_row(), forecast_row(horizon_sessions=5, latency_ms=None)]
    log.write([LogEntry(one, "{}") for one in said])
    report = drain(lake, settings)
    assert (report.added, report.skipped) == (2, False)
    assert sorted(lake.read(FORECASTS).to_dicts(), key=lambda r: r["horizon_sessions"]) == said
    again = drain(lake, settings)
    assert again.skipped
    assert again.details["reason"] == "every answer is in the lake already"
    log.write([LogEntry(forecast_row(), "{}")])
    assert drain(lake, settings).added == 1
    assert lake.read(FORECASTS).height == 3


def test_draining_before_the_service_ever_answered_is_no_error(settings):
    assert drain(Lake.open(settings), settings).skipped
    assert not log_path(settings).exists()


def test_a_drain_killed_between_merge_and_mark_doubles_nothing(log, settings, monkeypatch):
    lake = Lake.open(settings)
    log.write([LogEntry(forecast_row(), "{}") for _ in range(20)])

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(draining, "mark", die)
        with pytest.raises(KeyboardInterrupt):
            drain(lake, settings)
    assert lake.read(FORECASTS).height == 20
    assert drain(lake, settings).added == 0
    assert lake.read(FORECASTS).height == 20
    assert drain(lake, settings).skipped


def test_an_answer_changed_after_the_fact_is_put_in_quarantine_and_stops_no_other(log, settings):
    lake = Lake.open(settings)
    said = forecast_row()
    log.write([LogEntry(said, "{}")])
    drain(lake, settings)
    with closing(sqlite3.connect(log.path)) as other, other:
        changed = json.loads(other.execute("SELECT row FROM forecasts").fetchone()[0]) | {"p50": 0.0}
        other.execute("UPDATE forecasts SET row = ?, is_in_lake = 0", (json.dumps(changed),))
    log.write([LogEntry(forecast_row("another"), "{}")])
    report = drain(lake, settings)
    assert (report.added, report.details["quarantined"]) == (1, 1)
    assert lake.read(FORECASTS).filter(pl.col("forecast_id") == said["forecast_id"])["p50"].to_list() == [said["p50"]]
    (held,) = quarantine.quarantined_forecasts(settings)
    assert "another row of the same forecast_id" in held.reason


WRITER = """
import sys
from pathlib import Path
from serving.forecast_log.writing import LogEntry, ForecastLog
from support.log import forecast_row
log = ForecastLog(Path({path!r}))
while True:
    said = [forecast_row() for _ in range(3)]
    log.write([LogEntry(one, "{{}}") for one in said])
    sys.stdout.write("".join(r["forecast_id"] + "\\n" for r in said)); sys.stdout.flush()
"""


def test_every_acknowledged_answer_survives_kill_9_and_is_drained_once(settings):
    settings.home.mkdir()
    code = WRITER.format(path=str(log_path(settings)))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    told = [process.stdout.readline().strip() for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    told += [line.strip() for line in process.stdout if len(line) == 37]
    process.stdout.close()
    process.wait()
    lake = Lake.open(settings)
    drain(lake, settings)
    drained = lake.read(FORECASTS)["forecast_id"]
    assert set(told) <= set(drained)
    assert drained.is_unique().all()
    assert len(drained) - len(told) <= 3
