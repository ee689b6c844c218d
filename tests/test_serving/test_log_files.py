"""The files of the forecast log: moved, removed or open to others while the service writes to them."""

import os
from contextlib import closing

import pytest

from lake.errors import LogError
from lake.store import Lake
from lake.tables import FORECASTS
from serving.forecast_log import ForecastLog, LogEntry, LogReader, LogTail, drain, log_paths, open_log
from support.log import forecast_row


def take_away(path, names):
    for suffix in names:
        moved = path.with_name(f"{path.name}{suffix}")
        if moved.exists():
            moved.rename(path.with_name(f"old_{path.name}{suffix}"))


@pytest.mark.parametrize("names", [("", "-wal", "-shm"), ("",)], ids=["whole", "alone"])
def test_a_log_that_is_moved_while_it_is_written_begins_anew_and_loses_nothing(settings, log, logged, names):
    lake, tail = Lake.open(settings), LogTail(settings)
    said = [forecast_row(str(number)) for number in range(4)]
    log.write([LogEntry(said[0], "{}")])
    drain(lake, settings)
    log.write([LogEntry(said[1], "{}", key_id="somebody")])
    assert len(tail.read()) == logged.count() == 2
    take_away(log.path, names)
    log.write([LogEntry(said[2], "{}")])
    log.require_writable()
    assert log.path.exists()
    assert [logged.get(one["forecast_id"]) is not None for one in said] == [False, True, True, False]
    log.write([LogEntry(said[3], "{}")])
    tail._look_at = 0.0
    assert [stored.forecast_id for stored in tail.read()] == ["2", "3"], "once, and what waited was heard before"
    with closing(open_log(log.path)) as connection:
        assert connection.execute("SELECT forecast_id, key_id FROM requests").fetchall() == [("1", "somebody")]
    with closing(open_log(log.path.with_name(f"old_{log.path.name}"))) as left:
        assert left.execute("SELECT count(*) FROM forecasts").fetchone() == (2,)
    drain(lake, settings)
    assert sorted(lake.read(FORECASTS)["forecast_id"]) == ["0", "1", "2", "3"]
    tail.close()


def test_what_was_written_before_a_log_was_removed_is_there_after_it_closed(settings, logged):
    log = ForecastLog.open(settings)
    log.write([LogEntry(forecast_row("a"), "{}")])
    for path in settings.home.glob(f"{log.path.name}*"):
        path.unlink()
    log.close()
    assert logged.get("a") is not None


def test_a_log_that_cannot_begin_anew_says_so_and_goes_on(settings, log, logged):
    log.write([LogEntry(forecast_row("a"), "{}")])
    take_away(log.path, ("", "-wal", "-shm"))
    log.path.mkdir()
    for _ in range(2):
        with pytest.raises(LogError, match="No answer was sent"):
            log.write([LogEntry(forecast_row("b"), "{}")])
    log.path.rmdir()
    log.write([LogEntry(forecast_row("b"), "{}")])
    assert logged.get("a") is not None
    assert logged.get("b") is not None


def test_a_file_that_is_missing_hides_none_of_the_others(settings, logged):
    first, second = ForecastLog.open(settings), ForecastLog.open(settings)
    second.write([LogEntry(forecast_row("a"), "{}")])
    first.close()
    first.path.unlink()
    assert log_paths(settings) == [second.path]
    assert logged.get("a") is not None
    second.close()


def test_only_the_owner_may_read_the_log_also_one_that_was_open_to_others(settings):
    def modes():
        return {path.name: path.stat().st_mode & 0o777 for path in settings.home.glob("*.sqlite*")}

    before = os.umask(0o022)
    log = ForecastLog.open(settings)
    log.write([LogEntry(forecast_row(), "{}")])
    assert modes() == {f"forecast_log.sqlite{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}
    for path in settings.home.glob("*.sqlite*"):
        path.chmod(0o644)
    assert LogReader(settings).count() == 1
    assert set(modes().values()) == {0o600}
    log.close()
    os.umask(before)
