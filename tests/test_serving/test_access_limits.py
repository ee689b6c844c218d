"""How often a key may ask, counted in a real Redis, and what happens when it is not there."""

import asyncio
import os
import signal
import time
from contextlib import contextmanager

import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import TimeoutError as RedisTimeoutError

from feature_repo.online.breaker import CircuitBreaker
from feature_repo.online.redis_server import connect, embedded_url, running_redis
from lake.settings import Settings
from serving.access.ledger import RequestLedger
from serving.access.limits import NOT_COUNTED, UNLIMITED, Limiter
from serving.api import Caller
from support.online import emptied
from support.waiting import VirtualClock

PAUSE_SECONDS = 0.2
PATIENT_MS = 60_000
"""For tests where Redis is there and the machine may be busy."""


def caller(role="read", tier="free", name="a"):
    return Caller(f"id-{name}", role, tier, f"key:{name}")


def run(settings, ask):
    """What a coroutine finds that is given a limiter."""

    async def limited():
        limiter = Limiter(settings)
        try:
            return await ask(limiter)
        finally:
            await limiter.close()

    return asyncio.run(limited())


def asked(settings, who, times=1):
    """Verdicts of so many requests, one after the other."""

    async def ask(limiter):
        return [await limiter.count(who) for _ in range(times)]

    return run(settings, ask)


def said(verdict):
    return {name.decode(): value.decode() for name, value in verdict.headers}


@pytest.fixture(scope="module")
def with_redis(tmp_path_factory):
    """Settings of a home whose Redis runs."""
    settings = Settings(home=tmp_path_factory.mktemp("limits") / "home", limit_timeout_ms=PATIENT_MS)
    with running_redis(settings):
        yield settings


@contextmanager
def paused(settings):
    """Redis hangs while the block lasts: it takes connections and answers nothing."""
    pid = int((settings.redis / "redis.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_key_of_a_hundred_gets_a_hundred_answers_in_an_hour(with_redis):
    verdicts = asked(with_redis, caller(name="hundred"), 105)
    assert [one.is_allowed for one in verdicts] == [True] * 100 + [False] * 5
    assert {one.counted for one in verdicts} == {"shared"}
    assert [said(one)["ratelimit-remaining"] for one in verdicts[:3]] == ["99", "98", "97"]
    assert {said(one)["ratelimit-limit"] for one in verdicts} == {"100"}
    assert 3_500 < verdicts[-1].retry_seconds <= 3_600
    assert said(verdicts[-1])["ratelimit-remaining"] == "0"
    assert said(verdicts[-1])["ratelimit-scope"] == "shared"


def test_the_hour_moves_with_the_clock(with_redis, monkeypatch):
    """No hour, wherever it begins, has more answers than the limit; one per calendar hour would allow twice that."""
    now, answered, who = time.time(), [], caller(name="moving")
    for minute in range(0, 150, 5):
        monkeypatch.setattr("time.time", lambda at=now + minute * 60: at)
        answered += [minute for one in asked(with_redis, who, 12) if one.is_allowed]
    most = max(sum(start <= at < start + 60 for at in answered) for start in range(0, 150, 5))
    assert most == 100
    assert len(answered) > 200


def test_keys_do_not_share_a_limit(with_redis):
    asked(with_redis, caller(name="busy"), 101)
    assert asked(with_redis, caller(name="quiet"))[0].is_allowed


def test_workers_share_a_limit(with_redis):
    who = caller(tier="standard", name="shared")
    assert all(one.is_allowed for _ in range(4) for one in asked(with_redis, who, 250))
    assert not asked(with_redis, who)[0].is_allowed


def test_requests_at_once_are_counted_each(with_redis):
    async def ask(limiter):
        return await asyncio.gather(*(limiter.count(caller(name="many")) for _ in range(150)))

    assert sum(one.is_allowed for one in run(with_redis, ask)) == 100


def test_an_unlimited_key_is_counted_nowhere(settings, monkeypatch):
    monkeypatch.setattr(Limiter, "_ask_redis", None)
    monkeypatch.setattr(RequestLedger, "take", None)
    verdicts = asked(settings, caller("operator", "unlimited"), 1_000)
    assert all(one.is_allowed and one.headers == UNLIMITED for one in verdicts)


def test_without_redis_readers_are_counted_here_and_told(settings):
    verdicts = asked(settings, caller(), 101)
    assert [one.is_allowed for one in verdicts] == [True] * 100 + [False]
    assert {said(one)["ratelimit-scope"] for one in verdicts} == {"local"}
    assert said(verdicts[0])["ratelimit-remaining"] == "99"


def test_without_redis_operators_are_refused(settings):
    for tier in ("free", "standard"):
        assert asked(settings, caller("operator", tier)) == [NOT_COUNTED]
    assert not NOT_COUNTED.is_allowed
    assert said(NOT_COUNTED)["ratelimit-scope"] == "none"


def test_a_redis_that_hangs_costs_the_deadline_a_few_times_and_then_nothing(with_redis):
    hasty = with_redis.model_copy(update={"limit_timeout_ms": 50})
    clock, tried, waited = VirtualClock(), [], []

    async def ask(limiter):
        limiter._breaker = CircuitBreaker(pause_seconds=PAUSE_SECONDS, clock=clock)
        await limiter.count(caller(name="warm"))
        script = limiter._script

        async def counting(**given):
            tried.append(given)
            return await script(**given)

        limiter._script = counting
        with paused(hasty):
            for each in range(200):
                verdict = await limiter.count(caller(name="hanging", tier="standard"))
                assert (verdict.is_allowed, verdict.counted) == (True, "local")
                waited.append(len(tried))
                clock.move(PAUSE_SECONDS if each in {100, 150} else 0)

    run(hasty, ask)
    # Three times before the breaker opens, and once after each pause of it.
    assert (waited[2], waited[100], waited[150], waited[-1]) == (3, 3, 4, 5)


def test_it_is_counted_in_redis_again_with_the_first_request_after_a_pause(with_redis):
    clock, hasty = VirtualClock(), with_redis.model_copy(update={"limit_timeout_ms": 50})

    async def ask(limiter):
        limiter._breaker = CircuitBreaker(pause_seconds=PAUSE_SECONDS, clock=clock)
        with paused(hasty):
            for _ in range(5):
                await limiter.count(caller(name="return"))
        return [(await limiter.count(caller(name="return"))).counted for _ in range(2)]

    async def ask_again(limiter):
        limiter._breaker = CircuitBreaker(
            failures=0, pause_seconds=PAUSE_SECONDS, clock=clock
        )  # open from the beginning
        limiter._breaker.failed()
        counted = []
        for seconds in (0, PAUSE_SECONDS / 2, PAUSE_SECONDS):
            clock.move(seconds)
            counted.append((await limiter.count(caller(name="again", tier="standard"))).counted)
        return counted

    assert run(hasty, ask) == ["local"] * 2
    assert run(with_redis, ask_again) == ["local", "local", "shared"]


def test_a_redis_that_was_emptied_gives_no_second_hour(with_redis):
    who = caller(name="emptied")
    assert not asked(with_redis, who, 101)[-1].is_allowed
    with connect(embedded_url(with_redis), 5) as client:
        emptied(client)
    assert not asked(with_redis, who)[0].is_allowed
    assert asked(with_redis, caller(name="after"))[0].counted == "shared"


def test_redis_knows_pseudonyms_and_forgets_them_in_an_hour(with_redis):
    asked(with_redis, caller(name="forgotten"))
    with connect(embedded_url(with_redis), 5) as client:
        names = [name.decode() for name in client.scan_iter("quantlake:limits*")]
        (mine,) = [name for name in names if "key:forgotten" in name]
        assert not any("id-forgotten" in name for name in names)
        assert 0 < client.ttl(mine) <= 3_600


def test_a_connection_that_does_not_close_in_time_is_left_to_the_process(with_redis, monkeypatch):
    """A busy machine takes longer than the deadline of a read to close a socket; the service ends all the same."""

    disconnect = AbstractConnection.disconnect

    async def late(self, **how):
        await disconnect(self, **how)
        raise RedisTimeoutError("Timed out closing connection after 0.02")

    monkeypatch.setattr(AbstractConnection, "disconnect", late)
    (verdict,) = asked(with_redis, caller(name="closing"))
    assert verdict.is_allowed
