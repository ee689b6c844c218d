import json
import signal
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lake.errors import ConflictError, ModelError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import FORECASTS
from serving import forecast_log
from serving.forecast_log import ForecastLog, drain, log_path

CLOSE = datetime(2012, 12, 31, 21, tzinfo=UTC)


def row(forecast_id=None, **change):
    return {
        "forecast_id": forecast_id or str(uuid.uuid4()),
        "kind": "served",
        "symbol": "AAPL",
        "event_time": CLOSE,
        "known_time": CLOSE,
        "made_at": datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC),
        "horizon_sessions": 1,
        "p10": -0.1 - 1e-17,
        "p50": 1 / 3,
        "p90": 0.30000000000000004,
        "reference_price": 532.1729,
        "model_name": "lstm",
        "model_version": "1",
        "model_digest": "ab" * 32,
        "strategy": "lstm",
        "regime": "low_volatility_uptrend",
        "feature_table_versions": "{}",
        "feature_hash": "cd" * 32,
        "latency_ms": 1.25,
        "degraded": False,
    } | change


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


@pytest.fixture
def log(settings):
    opened = ForecastLog.open(settings)
    yield opened
    opened.close()


def test_an_answer_comes_back_byte_for_byte(log):
    said = row()
    text = '{"prediction_id": "é",  "p50":0.1}'
    log.record([said], [text]).result(5)
    assert log.get(said["forecast_id"]) == text
    assert log.get("another") is None


def test_an_answer_is_on_disk_when_its_future_is_done(log):
    said = row()
    log.record([said], ["{}"]).result(5)
    with closing(sqlite3.connect(log.path)) as other:
        assert other.execute("SELECT count(*) FROM forecasts").fetchone() == (1,)


def test_what_is_queued_is_written_before_it_closes(settings):
    log = ForecastLog.open(settings)
    futures = [log.record([row()], ["{}"]) for _ in range(500)]
    log.close()
    assert all(future.done() for future in futures)
    again = ForecastLog.open(settings)
    assert again.count() == 500
    again.close()


def test_answers_that_wait_share_a_commit(settings, monkeypatch):
    commits = []
    commit = forecast_log._commit
    monkeypatch.setattr(forecast_log, "_commit", lambda *given: (commits.append(len(given[1])), commit(*given)))
    log = ForecastLog.open(settings)
    with closing(sqlite3.connect(log.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        futures = [log.record([row()], ["{}"]) for _ in range(50)]
        other.execute("COMMIT")
    for future in futures:
        future.result(10)
    log.close()
    assert sum(commits) == 50
    assert len(commits) < 50


def test_it_flushes_to_disk_on_every_commit(log):
    with closing(forecast_log._connect(log.path)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_log_that_cannot_be_written_says_so_and_goes_on(log):
    said = row()
    log.record([said], ["{}"]).result(5)
    with pytest.raises(ModelError, match="No answer was sent"):
        log.record([said], ["{}"]).result(5)
    log.record([row()], ["{}"]).result(5)
    assert log.count() == 2


def test_what_is_no_number_never_reaches_the_log(log):
    with pytest.raises(ValueError, match="JSON compliant"):
        log.record([row(p50=float("nan"))], ["{}"])
    assert log.count() == 0


def test_a_caller_that_gives_up_does_not_stop_the_writer(log):
    log.record([row()], ["{}"]).cancel()
    log.record([row()], ["{}"]).result(5)
    assert log.count() == 2


def test_two_workers_may_share_one_file(settings):
    first, second = ForecastLog.open(settings), ForecastLog.open(settings)
    futures = [log.record([row()], ["{}"]) for _ in range(100) for log in (first, second)]
    for future in futures:
        future.result(20)
    assert first.count() == 200
    first.close()
    second.close()


def test_draining_brings_every_answer_into_the_lake_once(log, settings):
    lake = Lake.open(settings)
    said = [row(), row(horizon_sessions=5, latency_ms=None)]
    log.record(said, ["{}", "{}"]).result(5)
    report = drain(lake, settings)
    assert (report.added, report.skipped) == (2, False)
    assert sorted(lake.read(FORECASTS).to_dicts(), key=lambda r: r["horizon_sessions"]) == said
    again = drain(lake, settings)
    assert again.skipped
    assert again.details["reason"] == "every answer is in the lake already"
    log.record([row()], ["{}"]).result(5)
    assert drain(lake, settings).added == 1
    assert lake.read(FORECASTS).height == 3


def test_draining_before_the_service_ever_answered_is_no_error(settings):
    assert drain(Lake.open(settings), settings).skipped
    assert not log_path(settings).exists()


def test_a_drain_killed_between_merge_and_mark_doubles_nothing(log, settings, monkeypatch):
    lake = Lake.open(settings)
    log.record([row() for _ in range(20)], ["{}"] * 20).result(5)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forecast_log, "mark_read", die)
        with pytest.raises(KeyboardInterrupt):
            drain(lake, settings)
    assert lake.read(FORECASTS).height == 20
    assert drain(lake, settings).added == 0
    assert lake.read(FORECASTS).height == 20
    assert drain(lake, settings).skipped


def test_an_answer_changed_after_the_fact_is_a_conflict(log, settings):
    lake = Lake.open(settings)
    said = row()
    log.record([said], ["{}"]).result(5)
    drain(lake, settings)
    with closing(sqlite3.connect(log.path)) as other, other:
        changed = json.loads(other.execute("SELECT row FROM forecasts").fetchone()[0]) | {"p50": 0.0}
        other.execute("UPDATE forecasts SET row = ?, is_in_lake = 0", (json.dumps(changed),))
    with pytest.raises(ConflictError, match="p50"):
        drain(lake, settings)


WRITER = """
import sys, uuid
sys.path.insert(0, {folder!r})
from test_forecast_log import row
from pathlib import Path
from serving.forecast_log import ForecastLog
log = ForecastLog(Path({path!r}))
while True:
    said = [row() for _ in range(3)]
    log.record(said, ["{{}}"] * 3).result(10)
    sys.stdout.write("".join(r["forecast_id"] + "\\n" for r in said)); sys.stdout.flush()
"""


def test_every_acknowledged_answer_survives_kill_9_and_is_drained_once(settings):
    code = WRITER.format(path=str(log_path(settings)), folder=Path(__file__).parent.as_posix())
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
