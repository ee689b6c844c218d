"""The newest stored forecast: from Redis, log and table, never an older one, and never lost when Redis is."""

import json
from datetime import timedelta

import pytest

from feature_repo.online import SEAL_BYTES, OnlineKey
from feature_repo.online.redis_server import connect, redis_url, running_redis
from lake.settings import Settings
from lake.store import Lake
from lake.tables import FORECASTS
from serving.forecast_log import ForecastLog, LogEntry, LogReader, drain
from serving.forecast_log import latest as latest_forecasts
from serving.forecast_log.latest import KEEP_NEWEST, LatestForecasts, key_of, packed
from serving.monitoring import metrics
from support.log import MADE_AT, forecast_row
from support.online import emptied
from support.waiting import until


def entry(number=0, symbol="AAPL", kind="served", horizon=1):
    made_at = MADE_AT + timedelta(microseconds=number)
    row = forecast_row(f"{number:032x}", symbol=symbol, kind=kind, made_at=made_at, horizon_sessions=horizon)
    return LogEntry(row, json.dumps({"symbol": symbol, "number": number}))


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    server = Settings(home=tmp_path_factory.mktemp("server"))
    with running_redis(server) as address:
        yield address


@pytest.fixture
def settings(tmp_path, url):
    return Settings(home=tmp_path / "home", redis_url=url, online_timeout_ms=8_000)


@pytest.fixture
def redis(url):
    with connect(url, 20.0) as client:
        emptied(client)
        yield client


@pytest.fixture
def away(settings):
    """Settings whose Redis does not run."""
    return settings.model_copy(update={"redis_url": None})


@pytest.fixture
def latest(settings, log, redis):
    made = LatestForecasts(settings, LogReader(settings))
    made.start(log)
    yield made
    made.close()


def number_of(found):
    return json.loads(found.answer)["number"]


def cached(redis, symbol="AAPL", horizon=1):
    held = redis.get(key_of((symbol, horizon)))
    return None if held is None else json.loads(held[17:-SEAL_BYTES])["number"]


def test_what_is_logged_reaches_redis_and_is_answered_from_there(latest, log, redis):
    log.write([entry(1), entry(2, "KO"), entry(3, horizon=5)])
    until(lambda: cached(redis) == 1 and cached(redis, "KO") == 2 and cached(redis, "AAPL", 5) == 3)
    found = latest.newest("AAPL", 1)
    assert (number_of(found), found.source) == (1, "cache")


def test_an_older_forecast_never_takes_the_place_of_a_newer_one(latest, log, redis):
    log.write([entry(5)])
    until(lambda: cached(redis) == 5)
    log.write([entry(4), entry(6, "KO")])
    until(lambda: cached(redis, "KO") == 6)
    assert cached(redis) == 5


def test_without_the_comparison_an_older_forecast_would_win(redis):
    """The mutant of the test above: the same writes, the guard taken out of the script."""
    keys = [key_of(("AAPL", 1)), "mark"]
    unguarded = KEEP_NEWEST.replace("at < ", "at ~= ")
    assert unguarded != KEEP_NEWEST
    for script, left in ((KEEP_NEWEST, 5), (unguarded, 4)):
        redis.delete(*keys)
        for number in (5, 4):
            made = entry(number)
            redis.eval(script, 2, *keys, packed(made.row["made_at"], made.answer) + bytes(SEAL_BYTES), b"mark")
        assert cached(redis) == left


def test_a_challengers_forecast_is_never_answered(latest, log, redis, settings):
    log.write([entry(1), entry(2, kind="shadow"), entry(3, "KO", kind="shadow")])
    until(lambda: cached(redis) == 1)
    assert number_of(latest.newest("AAPL", 1)) == 1
    assert latest.newest("KO", 1) is None
    drain(Lake.open(settings), settings)
    assert latest.newest("KO", 1) is None


def test_what_redis_loses_comes_back(latest, log, redis):
    log.write([entry(n, symbol) for n, symbol in enumerate(("AAPL", "KO", "GE"))])
    until(lambda: cached(redis, "GE") == 2)
    emptied(redis)
    until(lambda: [cached(redis, symbol) for symbol in ("AAPL", "KO", "GE")] == [0, 1, 2])


def test_what_a_killed_process_did_not_hand_over_is_handed_over_by_the_next(settings, log, redis):
    log.write([entry(1)])
    name = key_of(("AAPL", 1))
    redis.set(name, OnlineKey.of(settings).seal(name, packed(MADE_AT, '{"number": 0}')))
    after = LatestForecasts(settings, LogReader(settings))
    after.start(log)
    until(lambda: cached(redis) == 1)
    after.close()


def test_without_redis_the_log_answers_and_without_the_log_the_table(away, settings, log):
    without = LatestForecasts(away, LogReader(away))
    log.write([entry(1), entry(2), entry(3, "KO", kind="scheduled")])
    found = without.newest("AAPL", 1)
    assert (number_of(found), found.source) == (2, "log")
    drain(Lake.open(settings), settings)
    elsewhere = away.model_copy(update={"home": away.home / "elsewhere"})
    without = LatestForecasts(away, LogReader(elsewhere))
    for symbol, number in (("AAPL", 2), ("KO", 3)):
        found = without.newest(symbol, 1)
        assert found.source == "table"
        assert json.loads(found.answer)["prediction_id"] == f"{number:032x}"
    assert without.newest("AAPL", 5) is None
    assert without.newest("NOPE", 1) is None
    without.close()


def test_what_redis_did_not_take_is_answered_from_memory_until_it_does(away, log):
    waiting = LatestForecasts(away, LogReader(away))
    waiting.start(log)
    log.write([entry(1)])
    until(lambda: waiting.newest("AAPL", 1) is not None)
    with running_redis(away), connect(redis_url(away), 20.0) as client:
        until(lambda: cached(client) == 1)
        assert waiting.newest("AAPL", 1).source == "cache"
    waiting.close()


def test_a_lake_without_forecasts_is_no_error(settings, log, redis):
    assert not Lake.open(settings).exists(FORECASTS)
    assert LatestForecasts(settings, LogReader(settings)).newest("AAPL", 1) is None


def test_what_another_process_logged_and_could_not_hand_over_is_handed_over_for_it(
    latest, log, redis, settings, away, monkeypatch
):
    monkeypatch.setattr(latest_forecasts, "OTHERS_SECONDS", 0.1)
    log.write([entry(1)])
    until(lambda: cached(redis) == 1)
    other = ForecastLog.open(settings)
    ending = LatestForecasts(away, LogReader(settings))
    ending.start(other)
    other.write([entry(2), entry(3, kind="shadow")])
    ending.close()
    other.close()
    until(lambda: cached(redis) == 2)
    assert number_of(latest.newest("AAPL", 1)) == 2


def flipped(raw, at):
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


SPOILT = {
    "another symbol's": lambda _, other: other,
    "a bit of the answer": lambda held, _: flipped(held, 30),
    "a bit of the seal": lambda held, _: flipped(held, len(held) - 1),
    "cut": lambda held, _: held[:40],
    "empty": lambda *_: b"",
    "garbage": lambda *_: b"\xff" * 200,
    "made in the far future": lambda held, _: b"9" * 17 + held[17:],
    "a text": lambda *_: b"no number here",
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_value_that_does_not_verify_is_no_answer_and_is_written_again(latest, log, redis, how):
    log.write([entry(1), entry(2, "KO")])
    until(lambda: cached(redis) == 1 and cached(redis, "KO") == 2 and not latest._pending)
    name = key_of(("AAPL", 1))
    good = redis.get(name)
    before = metrics.ONLINE_UNVERIFIED.labels("latest")._value.get()
    redis.set(name, SPOILT[how](good, redis.get(key_of(("KO", 1)))))
    found = latest.newest("AAPL", 1)
    assert (number_of(found), found.source) == (1, "log")
    assert metrics.ONLINE_UNVERIFIED.labels("latest")._value.get() == before + 1
    until(lambda: redis.get(name) == good)
    log.write([entry(5)])
    until(lambda: cached(redis) == 5)


def test_an_older_answer_that_is_put_back_is_no_answer(latest, log, redis):
    log.write([entry(1)])
    until(lambda: cached(redis) == 1)
    old = redis.get(key_of(("AAPL", 1)))
    log.write([entry(2)])
    until(lambda: cached(redis) == 2 and not latest._pending)
    assert number_of(latest.newest("AAPL", 1)) == 2
    redis.set(key_of(("AAPL", 1)), old)
    assert number_of(latest.newest("AAPL", 1)) == 2
    until(lambda: cached(redis) == 2)


def test_values_and_marks_of_another_type_give_way(latest, log, redis):
    log.write([entry(1)])
    until(lambda: cached(redis) == 1 and not latest._pending)
    for name in (key_of(("AAPL", 1)), latest._mark_key):
        redis.delete(name)
        redis.zadd(name, {"no text": 1.0})
    assert number_of(latest.newest("AAPL", 1)) == 1
    until(lambda: redis.type(key_of(("AAPL", 1))) == b"string" and cached(redis) == 1)
    log.write([entry(2)])
    until(lambda: cached(redis) == 2)
