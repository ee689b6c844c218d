"""Whatever becomes of Redis, an answer is right and says where it came from, or there is none."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from feature_repo import retrieval
from feature_repo.online.breaker import CircuitBreaker
from feature_repo.online.deadlines import TimedClient, deadline
from feature_repo.online.degradation import DegradationKind
from feature_repo.online.generations import Generation, OvertakenError, publish, row_key
from feature_repo.online.parity import compare_stores
from feature_repo.online.reader import OnlineReader
from feature_repo.online.redis_server import connect, embedded_url, restarts, running_redis
from feature_repo.online.repair import Repairer
from feature_repo.online.seals import OnlineKey
from feature_repo.online.snapshot import OnlineSnapshot
from feature_repo.online.source import PackedRowSource
from feature_repo.online.verification import Verification
from feature_repo.online.views import STRATEGY, VIEWS, WINDOW
from feature_repo.retrieval import materialize
from lake.clock import FixedClock
from lake.errors import NotReadyError, OnlineStoreError
from lake.settings import Settings
from lake.store import Lake
from support.online import (
    AT,
    DAY,
    SYMBOLS,
    Load,
    Proxy,
    close_of,
    emptied,
    external_redis,
    kind_of,
    store_generation,
    what_is_wrong,
)
from support.waiting import until

CLOCK = FixedClock(close_of(3))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a Redis that the whole file shares."""
    shared = Settings(home=tmp_path_factory.mktemp("server"))
    with running_redis(shared):
        yield shared


@pytest.fixture
def alone(settings: Settings) -> Settings:
    """Settings of a Redis of one's own, with the default deadline and a registry that need not be made."""
    settings.feast.mkdir(parents=True)
    (settings.feast / "registry.db").touch()
    return settings.model_copy(update={"online_timeout_ms": 50})


@pytest.fixture
def home(alone: Settings, server: Settings, redis: Redis) -> Settings:
    """Settings of the shared Redis, which is empty."""
    emptied(redis)
    return alone.model_copy(update={"redis_url": embedded_url(server)})


@pytest.fixture
def redis(server: Settings) -> Iterator[Redis]:
    with connect(embedded_url(server), 20.0) as client:
        yield client


@pytest.fixture
def market(alone: Settings) -> Lake:
    lake = Lake.open(alone)
    store_generation(lake, 0)
    return lake


def patient(settings: Settings) -> Settings:
    """Settings for a read that must not fail because the machine is busy."""
    return settings.model_copy(update={"online_timeout_ms": 20_000})


@contextmanager
def opened(settings: Settings) -> Iterator[OnlineReader]:
    """A reader whose snapshot is loaded."""
    snapshot = OnlineSnapshot(settings, VIEWS, CLOCK)
    snapshot.refresh()
    reader = OnlineReader(settings, snapshot=snapshot.start(), clock=CLOCK)
    try:
        yield reader
    finally:
        reader.close()


@pytest.mark.parametrize("count", [1, 5, len(SYMBOLS)])
def test_one_question_answers_one_symbol_or_many(market: Lake, home: Settings, count: int, monkeypatch: Any) -> None:
    asked: list[int] = []
    materialize(market, home, AT)
    with opened(patient(home)) as reader:
        client = reader._source._client
        mget = client.mget
        monkeypatch.setattr(client, "mget", lambda keys: asked.append(len(keys)) or mget(keys))
        batch = reader.read(SYMBOLS[:count])
    assert what_is_wrong(batch, list(SYMBOLS[:count]), {0}) == ""
    assert asked == [2 * count + 4]


def test_the_snapshot_has_the_bytes_that_redis_has(market: Lake, home: Settings, redis: Redis) -> None:
    materialize(market, home, AT)
    store_generation(market, 1)
    held = {key.decode(): redis.get(key) for key in redis.scan_iter() if b"#" not in key}
    snapshot = OnlineSnapshot(home, VIEWS, CLOCK)
    assert snapshot.refresh()
    assert not snapshot.refresh()
    assert snapshot.loaded.values == held, "the tables have gone on, what is served has not"


def test_while_the_snapshot_loads_a_dead_server_is_said(home: Settings, alone: Settings) -> None:
    reader = OnlineReader(alone, snapshot=OnlineSnapshot(alone, VIEWS, CLOCK), clock=CLOCK)
    with pytest.raises(OnlineStoreError, match=r"refused the connection.*make serve"):
        reader.read(["S0"])
    with pytest.raises(OnlineStoreError, match=r"Redis is empty.*still loading.*Ask again"):
        OnlineReader(patient(home), snapshot=OnlineSnapshot(home, VIEWS, CLOCK), clock=CLOCK).read(["S0"])


def test_an_emptied_server_is_not_read_as_no_such_symbol(
    market: Lake, home: Settings, redis: Redis, monkeypatch: Any
) -> None:
    materialize(market, home, AT)
    with opened(patient(home)) as reader:
        monkeypatch.setattr(Repairer, "request", lambda *_: None)
        emptied(redis)
        batch = reader.read(SYMBOLS)
        assert what_is_wrong(batch, list(SYMBOLS), {0}) == ""
        assert batch.source == "snapshot"
        assert kind_of(batch) is DegradationKind.EMPTY
        # The mutant: without the two checks the same answer says that no symbol exists.
        monkeypatch.setattr(PackedRowSource, "_require_missing", lambda *_: None)
        monkeypatch.setattr(Verification, "require", lambda *_: Generation(1))
        assert what_is_wrong(reader.read(SYMBOLS), list(SYMBOLS), {0}) != ""


@pytest.mark.parametrize("how", ["emptied", "brought back"])
def test_a_server_that_loses_rows_while_news_is_gathered_gets_everything(
    market: Lake, home: Settings, redis: Redis, monkeypatch: Any, how: str
) -> None:
    """The news alone would leave a server that says it is current and holds next to nothing."""
    materialize(market, home, AT)
    old = {key: redis.get(key) for key in redis.scan_iter()}
    materialize(market, home, store_generation(market, 1))
    news = market.read(STRATEGY.table).filter(pl.col("event_time") == close_of(1)).head(1)
    later = pl.lit(close_of(2)).alias("event_time"), pl.lit(close_of(2)).alias("known_time")
    market.merge(STRATEGY.table, news.with_columns(*later))
    losses = [1]

    def losing(client: Redis, rows: Any, key: OnlineKey, **said: Any) -> Generation:
        if losses:
            losses.pop()
            emptied(redis)
            if how == "brought back":
                redis.mset(old)
        return publish(client, rows, key, **said)

    monkeypatch.setattr(retrieval, "publish", losing)
    assert not materialize(market, home, close_of(2)).skipped
    assert OnlineReader(patient(home), clock=CLOCK).read(SYMBOLS).missing == []
    assert compare_stores(market, home).is_equal
    assert materialize(market, home, close_of(2)).skipped


@pytest.mark.parametrize("lost", ["S1", "S3"])
def test_a_row_that_was_lost_beside_news_is_written_again(
    market: Lake, home: Settings, redis: Redis, lost: str
) -> None:
    materialize(market, home, AT)
    news = market.read(STRATEGY.table).filter(pl.col("symbol") == "S1", pl.col("event_time") == close_of(0))
    market.merge(STRATEGY.table, news.with_columns(event_time=close_of(2), known_time=close_of(2)))
    redis.delete(row_key(STRATEGY.name, lost))
    assert not materialize(market, home, close_of(2)).skipped
    assert compare_stores(market, home).is_equal
    assert materialize(market, home, close_of(2)).skipped


def test_a_server_that_is_emptied_each_time_is_said(
    market: Lake, home: Settings, redis: Redis, monkeypatch: Any
) -> None:
    materialize(market, home, AT)
    store_generation(market, 1)
    monkeypatch.setattr(retrieval, "read_generation", lambda *_: Generation(5))
    with pytest.raises(OvertakenError, match=r"no longer 5.*Nothing was written; materialise again"):
        materialize(market, home, close_of(1))


def test_a_server_that_came_back_from_an_old_copy_does_not_answer(market: Lake, home: Settings, redis: Redis) -> None:
    materialize(market, home, AT)
    old = {key: redis.get(key) for key in redis.scan_iter()}
    materialize(market, home, store_generation(market, 1))
    with opened(patient(home)) as reader:
        emptied(redis)
        redis.mset(old)
        batch = reader.read(SYMBOLS)
        assert what_is_wrong(batch, list(SYMBOLS), {1}) == ""
        assert "fallen back" in batch.served.reason
        until(lambda: reader.read(SYMBOLS).source == "redis")
        assert what_is_wrong(reader.read(SYMBOLS), list(SYMBOLS), {1}) == ""
        assert materialize(market, home, close_of(1)).skipped


def test_a_server_that_lost_single_rows_does_not_answer(market: Lake, home: Settings, redis: Redis) -> None:
    materialize(market, home, AT)
    with opened(patient(home)) as reader:
        redis.delete(row_key(WINDOW.name, "S3"))
        batch = reader.read(["S2", "S3"])
        assert what_is_wrong(batch, ["S2", "S3"], {0}) == ""
        assert f"lacks a row of view '{WINDOW.name}'" in batch.served.reason
        until(lambda: reader.read(["S2", "S3"]).source == "redis")
        assert reader.read(["S2", "NOPE"]).missing == ["NOPE"]


def test_rows_of_another_layout_are_not_read(market: Lake, home: Settings, redis: Redis) -> None:
    materialize(market, home, AT)
    with opened(patient(home)) as reader:
        name = row_key(STRATEGY.name, "S1")
        raw = bytearray(redis.get(name))
        raw[8] ^= 1
        redis.set(name, OnlineKey.of(home).seal_row(name, bytes(raw)))
        batch = reader.read(SYMBOLS)
    assert what_is_wrong(batch, list(SYMBOLS), {0}) == ""
    kind = kind_of(batch)
    assert kind is DegradationKind.UNVERIFIED, "the tables have another value there"


def test_rows_of_another_layout_are_not_read_without_a_snapshot(market: Lake, home: Settings, redis: Redis) -> None:
    materialize(market, home, AT)
    name = row_key(STRATEGY.name, "S1")
    raw = bytearray(redis.get(name))
    raw[8] ^= 1
    redis.set(name, OnlineKey.of(home).seal_row(name, bytes(raw)))
    with pytest.raises(NotReadyError, match="another layout"):
        OnlineReader(patient(home), clock=CLOCK).read(SYMBOLS)


def test_an_answer_that_drips_in_is_given_up_at_the_deadline(server: Settings, redis: Redis) -> None:
    """Each byte comes soon enough for redis-py's own timeout; the client without our deadline is the mutant."""
    redis.set("slow", b"x" * 200)
    with Proxy(server) as proxy, connect(proxy.url, 1.0) as patient_one:
        timed = TimedClient(proxy.url, 1.0)
        assert timed.mget(["slow"]) == patient_one.mget(["slow"]) == [b"x" * 200]
        proxy.byte_seconds = 0.002
        with deadline(0.1):
            with pytest.raises(RedisTimeoutError):
                timed.mget(["slow"])
            assert patient_one.mget(["slow"]) == [b"x" * 200]
        timed.close()


def test_a_kept_connection_that_the_server_closed_is_replaced(tmp_path: Path) -> None:
    with external_redis(tmp_path) as url, connect(url, 5.0) as redis:
        timed = TimedClient(url, 5.0)
        assert timed.mget(["none"]) == [None]
        redis.client_kill_filter(_type="normal", skipme=True)
        assert timed.mget(["none"]) == [None]
        timed.close()


def test_a_full_server_answers_with_what_it_has(market: Lake, alone: Settings, tmp_path: Path) -> None:
    with external_redis(tmp_path) as url, connect(url, 5.0) as redis:
        full = patient(alone.model_copy(update={"redis_url": url}))
        materialize(market, full, AT)
        redis.config_set("maxmemory", 1)
        with pytest.raises(OnlineStoreError, match="full"):
            materialize(market, full, store_generation(market, 1))
        with opened(full) as reader:
            batch = reader.read(SYMBOLS)
    assert (what_is_wrong(batch, list(SYMBOLS), {0}), batch.source) == ("", "redis")


def test_expired_values_say_so(market: Lake, home: Settings, redis: Redis) -> None:
    materialize(market, home, AT)
    seen = []
    for days in (0, 7, 8, 93):
        clock = FixedClock(AT + days * DAY)
        batch = OnlineReader(patient(home), clock=clock).read(["S0"])
        seen.append(set(batch.expired[0]))
        assert batch.event_age == batch.known_age == [days * DAY]
        assert batch.served.written_age >= timedelta(0)
        rows = OnlineReader(patient(home), clock=clock).rows(STRATEGY.name, ["S0", "NOPE"])
        assert rows.is_expired == [days > 92]
        assert (rows.missing, rows.values.tolist()) == (["NOPE"], [[0.5]])
    assert seen == [set(), set(), {WINDOW.name, "regime"}, {WINDOW.name, "regime", "strategy"}]


def test_a_breaker_lets_one_caller_try_after_each_pause() -> None:
    now = [0.0]
    breaker = CircuitBreaker(failures=3, pause_seconds=0.2, clock=lambda: now[0])
    for _ in range(2):
        assert breaker.may_try()
        breaker.failed()
    assert breaker.may_try(), "two failures are no pattern yet"
    breaker.failed()
    assert breaker.is_open
    assert not breaker.may_try()
    now[0] = 0.21
    assert [breaker.may_try() for _ in range(3)] == [True, False, False]
    breaker.failed()
    now[0] = 0.4
    assert not breaker.may_try()
    now[0] = 0.42
    assert breaker.may_try()
    breaker.succeeded()
    assert not breaker.is_open
    assert all(breaker.may_try() for _ in range(3))


def hinder(load: Load, market: Lake, home: Settings, proxy: Proxy) -> None:
    """Do to Redis, one after the other, whatever can be done to it."""
    with running_redis(home) as url, connect(url, 10) as client:
        load.until_answered_by("redis")
        process = client.info("server")["process_id"]
        os.kill(process, signal.SIGSTOP)
        load.until_answered_by("snapshot")
        os.kill(process, signal.SIGCONT)
        load.until_answered_by("redis")
        proxy.late_seconds = 0.2
        load.until_answered_by("snapshot")
        proxy.late_seconds = 0.0
        load.until_answered_by("redis")
        emptied(client)
        until(lambda: DegradationKind.EMPTY in load.kinds)
        load.until_answered_by("redis")
        at = store_generation(market, 1)
        load.generations |= {1}
        materialize(market, home, at)
        load.until_answered_by("redis")
        before = restarts(home)
        os.kill(process, signal.SIGKILL)
        until(lambda: restarts(home) > before)
        load.until_answered_by("redis")
    load.until_answered_by("snapshot")
    with running_redis(home):
        load.until_answered_by("redis")
        load.generations |= {2}
        materialize(market, home, store_generation(market, 2))
        load.until_answered_by("redis")


def test_no_answer_under_load_is_wrong_whatever_becomes_of_redis(market: Lake, alone: Settings) -> None:
    materialize(market, alone, AT)
    with (
        Proxy(alone) as proxy,
        opened(alone.model_copy(update={"redis_url": proxy.url})) as reader,
        Load(reader, {0}) as load,
    ):
        hinder(load, market, alone, proxy)
    assert load.wrong == []
    assert {DegradationKind.TIMEOUT, DegradationKind.EMPTY} <= load.kinds


@pytest.mark.slow
def test_under_load_every_failure_is_answered_and_is_over_again_and_again(market: Lake, alone: Settings) -> None:
    """The wide variant: pauses, delays and losses, thirty times; how long each takes is measured by benchmarks."""
    with running_redis(alone) as url, connect(url, 10) as client, Proxy(alone) as proxy:
        materialize(market, alone, AT)
        process = client.info("server")["process_id"]
        behind = alone.model_copy(update={"redis_url": proxy.url})
        with opened(behind) as reader, Load(reader, {0}) as load:
            load.until_answered_by("redis")
            for number in range(30):
                with hindered(number % 3, process, proxy, client):
                    if number % 3 < 2:
                        load.until_answered_by("snapshot")
                load.until_answered_by("redis")
    assert load.wrong == []


@contextmanager
def hindered(how: int, process: int, proxy: Proxy, client: Redis) -> Iterator[None]:
    """Pause, slow down or empty a server."""
    if how == 0:
        os.kill(process, signal.SIGSTOP)
    elif how == 1:
        proxy.late_seconds = 0.2
    else:
        emptied(client)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
        proxy.late_seconds = 0.0
