"""Limits under load: whatever Redis does, all workers together accept what one perfect counter would."""

import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from feature_repo.online import CircuitBreaker
from feature_repo.online.redis_server import connect, embedded_url, running_redis
from lake.settings import Settings
from serving.access import ledger as ledgers
from serving.access.ledger import FILE, WINDOW_SECONDS, RequestLedger
from serving.access.limits import NOT_COUNTED, Limiter
from serving.api import REQUESTS_AN_HOUR, Caller
from serving.supervision import serve_environment
from support.ports import free_port
from support.waiting import VirtualClock, until

HASTY_MS = 20
FREE = REQUESTS_AN_HOUR["free"]
STANDARD = REQUESTS_AN_HOUR["standard"]
WORKER = """
import asyncio, sys
from lake.settings import settings
from serving.api.callers import Caller
from serving.access.limits import Limiter

async def main(times):
    limiter, who = Limiter(settings()), Caller("id", "read", "standard", "key:processes")
    verdicts = []
    for _ in range(times // 20):
        verdicts += await asyncio.gather(*(limiter.count(who) for _ in range(20)))
    print(sum(one.is_allowed for one in verdicts), sum(one.counted == "local" for one in verdicts))

sys.stdin.readline()
asyncio.run(main(int(sys.argv[1])))
"""


def caller(name, tier="free"):
    return Caller(f"id-{name}", "read", tier, f"key:{name}")


@pytest.fixture(scope="module")
def with_redis(tmp_path_factory):
    """Settings of a home whose Redis runs, with little patience for it."""
    settings = Settings(
        home=tmp_path_factory.mktemp("ledger") / "home", redis_port=free_port(), limit_timeout_ms=HASTY_MS
    )
    with running_redis(settings):
        yield settings


def redis_pid(settings):
    return int((settings.redis / "redis.pid").read_text())


class Counts:
    """One perfect counter, told of every request in order."""

    def __init__(self, limit):
        self.limit, self.accepted = limit, []

    def ask(self, now, times):
        held = sum(at > now - WINDOW_SECONDS for at in self.accepted)
        self.accepted += [now] * min(times, max(0, self.limit - held))


async def under_load(settings, limiters, who, monkeypatch, seed, rounds=80):
    """Virtual times of accepted requests while Redis answers, hangs, and comes back; those of the oracle; counts."""
    draws, pid, now, accepted = random.Random(seed), redis_pid(settings), time.time(), []
    oracle, counted, clock = Counts(FREE), Counter(), VirtualClock()
    for one in limiters:
        one._breaker = CircuitBreaker(pause_seconds=0.005, clock=clock)  # so that it often goes back and forth
    for _ in range(rounds):
        now += draws.uniform(30, 400)
        monkeypatch.setattr("time.time", lambda at=now: at)
        mood, times = draws.choice(["answers", "answers", "hangs", "flaps"]), draws.randint(5, 60)
        if mood != "answers":
            os.kill(pid, signal.SIGSTOP)
        if mood == "flaps":
            asyncio.get_running_loop().call_later(HASTY_MS / 2e3, os.kill, pid, signal.SIGCONT)
        try:
            turns = itertools.cycle(limiters)
            verdicts = await asyncio.gather(*(next(turns).count(who) for _ in range(times)))
        finally:
            os.kill(pid, signal.SIGCONT)
        accepted += [now] * sum(one.is_allowed for one in verdicts)
        counted.update(one.counted for one in verdicts if one.is_allowed)
        oracle.ask(now, times)
        clock.move(0.01)
    return accepted, oracle.accepted, counted


def busiest_hour(accepted):
    return max(sum(at - WINDOW_SECONDS < one <= at for one in accepted) for at in accepted)


def two_workers(settings, who, monkeypatch, seed, make=Limiter):
    async def run():
        limiters = [make(settings), make(settings)]
        try:
            return await under_load(settings, limiters, who, monkeypatch, seed)
        finally:
            for one in limiters:
                await one.close()

    return asyncio.run(run())


@pytest.mark.parametrize("seed", range(2))
def test_two_workers_accept_what_one_perfect_counter_would_while_redis_flaps(with_redis, monkeypatch, seed):
    accepted, expected, counted = two_workers(with_redis, caller(f"flapping-{seed}"), monkeypatch, seed)
    assert min(counted["shared"], counted["local"]) > 10, (
        "both ways of counting were used; how often each is up to the machine"
    )
    assert busiest_hour(accepted) == FREE
    assert accepted == expected


class FromNothing(Limiter):
    """Mutant: as it was once, a worker counts by itself, and from nothing, what Redis does not count in time."""

    def __init__(self, settings):
        super().__init__(settings)
        self._ledger, self._alone = _Blind(), _Own()

    def _without_redis(self, who, hit, limit, _, now):
        return super()._without_redis(who, hit, limit, self._alone.take(limit, now), now)


class _Blind:
    """A ledger that knows nothing."""

    def take(self, *asked):
        *_, now = asked
        return ledgers.Taken(is_allowed=True, used=1, elsewhere=0, oldest=now)

    def withdraw(self, hit): ...

    def learn(self, who, shared, now): ...

    def close(self): ...


class _Own(_Blind):
    """What one worker counted without Redis."""

    def __init__(self):
        self.hits = []

    def take(self, *asked):
        limit, now = asked
        used = sum(at > now - WINDOW_SECONDS for at in self.hits) + 1
        self.hits += [now] if used <= limit else []
        return ledgers.Taken(is_allowed=used <= limit, used=used, elsewhere=0, oldest=now)


@pytest.mark.slow
def test_counting_from_nothing_in_each_worker_would_be_noticed(with_redis, monkeypatch):
    accepted, *_ = two_workers(with_redis, caller("mutant"), monkeypatch, 0, FromNothing)
    assert busiest_hour(accepted) > FREE


def started(settings, times):
    command = [sys.executable, "-c", WORKER, str(times)]
    return subprocess.Popen(
        command, env=serve_environment(settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_worker_processes_share_the_limit_and_a_restart_keeps_it(with_redis):
    """Redis hangs for the first part; of 2,400 questions exactly the limit is answered, and nothing after a restart."""
    workers = [started(with_redis, 1_200) for _ in range(2)]
    pid = redis_pid(with_redis)
    os.kill(pid, signal.SIGSTOP)
    try:
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        ledger = with_redis.home / "access" / FILE
        until(ledger.exists)
    finally:
        os.kill(pid, signal.SIGCONT)
    said = [worker.communicate(timeout=120)[0].split() for worker in workers]
    assert sum(int(accepted) for accepted, _ in said) == STANDARD
    assert not any(one.is_allowed for one in asked(with_redis, caller("processes", "standard"), 20))


def test_what_redis_missed_is_counted_there_once_it_is_back(with_redis):
    """Under the same ids: a hit whose answer came too late is not counted twice."""
    who, key = caller("missed"), "quantlake:limits:hits:key:missed"

    async def ask():
        limiter, clock = Limiter(with_redis), VirtualClock()
        limiter._breaker = CircuitBreaker(clock=clock)
        await limiter.count(who)
        os.kill(redis_pid(with_redis), signal.SIGSTOP)
        try:
            missed = [await limiter.count(who) for _ in range(10)]
        finally:
            os.kill(redis_pid(with_redis), signal.SIGCONT)
        assert {one.counted for one in missed} == {"local"}
        asked = 1 + len(missed)
        while asked < FREE:
            asked += 1
            clock.move(1)
            if (await limiter.count(who)).counted == "shared":
                break
        await limiter.close()
        return asked

    asked = asyncio.run(ask())
    with connect(embedded_url(with_redis), 5) as client:
        assert client.zcard(key) == min(asked, FREE)


def test_what_other_homes_used_is_where_counting_starts_when_redis_goes(with_redis, tmp_path):
    """Sixty answers in one home leave forty to the other, also when Redis is gone."""
    who = caller("homes")
    patient = with_redis.model_copy(update={"limit_timeout_ms": 5_000})
    shared = embedded_url(with_redis)
    other = patient.model_copy(update={"home": tmp_path / "other", "redis_url": shared})

    async def ask():
        here, there = Limiter(patient), Limiter(other)
        first = [await here.count(who) for _ in range(60)]
        then = [await there.count(who)]
        await there.close()
        away = Limiter(other.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"}))
        then += [await away.count(who) for _ in range(60)]
        await here.close()
        await away.close()
        return first, then

    first, then = asyncio.run(ask())
    assert all(one.is_allowed for one in first)
    assert sum(one.is_allowed for one in then) == FREE - 60
    assert {one.counted for one in then[1:]} == {"local"}


def alone(tmp_path):
    return Settings(home=tmp_path / "home", redis_port=free_port(), limit_timeout_ms=HASTY_MS)


def asked(settings, who, times):
    async def ask():
        limiter = Limiter(settings)
        try:
            return [await limiter.count(who) for _ in range(times)]
        finally:
            await limiter.close()

    return asyncio.run(ask())


def test_a_damaged_ledger_is_moved_aside_and_redis_still_holds_the_bound(with_redis, caplog):
    patient = with_redis.model_copy(update={"limit_timeout_ms": 5_000})
    who = caller("damaged")
    assert all(one.is_allowed for one in asked(patient, who, 90))
    path = patient.home / "access" / FILE
    for suffix in ledgers.BESIDE:
        path.with_name(f"{FILE}{suffix}").unlink(missing_ok=True)
    path.write_bytes(b"no database" * 1_000)
    verdicts = asked(patient, who, 20)
    assert verdicts[0] == NOT_COUNTED
    assert sum(one.is_allowed for one in verdicts) == 10
    assert "It was moved to requests.db.damaged-" in caplog.text


def test_what_cannot_be_counted_is_refused(tmp_path, monkeypatch):
    settings = alone(tmp_path)
    settings.home.mkdir()
    (settings.home / "access").write_text("a file where the folder should be")
    assert asked(settings, caller("nowhere"), 2) == [NOT_COUNTED] * 2


def test_a_ledger_that_was_deleted_while_it_is_open_is_made_again(tmp_path):
    settings = alone(tmp_path)
    ledger = RequestLedger(settings)
    assert ledger.take("key:a", 1, 5, 1_000.0).used == 1
    (settings.home / "access" / FILE).unlink()
    other = RequestLedger(settings)
    assert other.take("key:a", 2, 5, 1_001.0).used == 1
    assert ledger.take("key:a", 3, 5, 1_002.0).used == 2, "both count in the file that is there"
    ledger.close()
    other.close()


def test_the_ledger_has_room_for_the_limit_in_any_hour(tmp_path):
    """Judged by itself: beside it Redis, where it is there, would refuse the same requests."""
    ledger, began = RequestLedger(alone(tmp_path)), 1_000.0
    taken = [ledger.take("key:hour", number, 5, began + number) for number in range(6)]
    assert [one.is_allowed for one in taken] == [True] * 5 + [False]
    assert [one.used for one in taken] == [1, 2, 3, 4, 5, 5]
    assert not ledger.take("key:hour", 6, 5, began + WINDOW_SECONDS - 1).is_allowed
    assert ledger.take("key:hour", 7, 5, began + WINDOW_SECONDS).is_allowed, "the first is an hour old"
    assert not ledger.take("key:hour", 8, 5, began + WINDOW_SECONDS).is_allowed
    ledger.close()


def test_the_ledger_is_its_owner_s_and_forgets_after_an_hour(tmp_path):
    settings = alone(tmp_path)
    ledger = RequestLedger(settings)
    for number in range(5):
        ledger.take("key:old", number, 10, 1_000.0 + number)
    assert ledger.take("key:new", 99, 10, 10_000.0).used == 1
    assert ledger._open().execute("SELECT count(*) FROM hits").fetchone() == (1,)
    assert {path.stat().st_mode & 0o077 for path in (settings.home / "access").iterdir()} == {0}
    ledger.close()
