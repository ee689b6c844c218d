"""Redis absent, paused, emptied, killed and slow, under load: every answer is right, and a degraded one says so."""

import dataclasses
import json
import os
import signal
import threading
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection

import httpx
import numpy as np
import pytest

from feature_repo.online import WINDOW, OnlineReader, row_key
from feature_repo.online.redis_server import ServerPaths, connect, embedded_url, restarts, running_redis
from feature_repo.retrieval import materialize
from lake.settings import Settings
from lake.store import Lake
from lake.universe import SYMBOLS
from serving.deployment import Champions
from serving.forecast_log import ForecastLog, LogReader
from serving.predict import Predictor, Question
from serving.web.app import build_app
from support.clients import headers_of
from support.failures import Clients, numbers_of
from support.online import Proxy, emptied
from support.services import copied_home, running_service
from support.waiting import until

QUESTIONS = [(symbol, horizon) for symbol in SYMBOLS[:10] for horizon in (1, 5)]
ANSWERS = 80
DEADLINE_MS = 400
"""Longer than the default, so that a healthy server on a busy machine keeps it."""


@pytest.fixture(scope="module")
def own(home, tmp_path_factory):
    """A home of its own beside the shared one, whose Redis does not run."""
    copied = copied_home(home.settings, tmp_path_factory.mktemp("broken") / "home")
    (copied.home / "online.json").unlink()
    return Settings(home=copied.home, port=copied.port, redis_url=None, online_timeout_ms=DEADLINE_MS)


@pytest.fixture(scope="module")
def expected(home, own, tmp_path_factory):
    """The right numbers of every question, computed beside the service from the shared, unbroken home."""
    aside = Settings(home=tmp_path_factory.mktemp("aside"))
    logs = ForecastLog.open(aside), LogReader(aside)
    predictor = Predictor(OnlineReader(home.settings), Champions(own), *logs, home.clock)
    said = {q: app_answer(predictor, q) for q in QUESTIONS}
    predictor.close()
    return said


def app_answer(predictor, question):
    (text,) = predictor.answer(Question([question[0]], question[1])).texts
    return numbers_of(json.loads(text))


@pytest.fixture(scope="module")
def service(own):
    """The service as users start it, on a home whose Redis does not run yet."""
    with running_service(own) as service:
        yield service.at


def readiness(settings):
    connection = HTTPConnection(settings.host, settings.port, timeout=120)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@contextmanager
def redis_filled(own, home):
    """The home's Redis, with what the shared one holds."""
    with running_redis(own):
        fill(own, home)
        yield


def fill(own, home):
    materialize(Lake.open(own), own, home.clock.now())


def redis_pid(own):
    return int(ServerPaths.of(own).pid.read_text())


@contextmanager
def asked(service, own, expected):
    """Load, and the readiness all the while; at the end no answer was wrong, or anything but 200."""
    ready, over = [], threading.Event()

    def look():
        while not over.wait(0.1):
            ready.append(readiness(own))

    watcher = threading.Thread(target=look)
    with Clients(service, headers_of(own), QUESTIONS, expected=expected) as clients:
        watcher.start()
        clients.wait_for(ANSWERS, clients.mark())
        try:
            yield clients
        finally:
            over.set()
            watcher.join()
    assert clients.wrong == []
    assert {one.status for one in clients.told} == {200}
    assert set(ready) == {200}


def stands_in(clients, since):
    """From a moment on every answer says that it is degraded."""
    told = clients.wait_for(ANSWERS, since)
    assert [one for one in told if not one.is_flagged] == []


def is_back(clients, since):
    """Answers after a moment are not degraded for long, and once the first is not, none after it is."""
    until(lambda: any(not one.is_flagged for one in clients.since(since)))
    first = min(one.ended for one in clients.since(since) if not one.is_flagged)
    settled = clients.wait_for(ANSWERS, first)
    # A machine that is busy lets a healthy server miss its deadline now and then; such an answer is flagged, and right.
    assert np.mean([one.is_flagged for one in settled]) < 0.1


def test_started_without_redis_it_answers_from_the_tables_and_is_back_when_redis_is(service, own, home, expected):
    with asked(service, own, expected) as clients, ExitStack() as stack:
        stands_in(clients, clients.told[0].began)
        stack.enter_context(redis_filled(own, home))
        is_back(clients, clients.mark())


def test_paused_redis(service, own, home, expected):
    with redis_filled(own, home), asked(service, own, expected) as clients:
        is_back(clients, clients.mark())
        os.kill(redis_pid(own), signal.SIGSTOP)
        try:
            stands_in(clients, clients.mark())
        finally:
            os.kill(redis_pid(own), signal.SIGCONT)
        is_back(clients, clients.mark())


def test_emptied_redis(service, own, home, expected):
    with redis_filled(own, home), asked(service, own, expected) as clients, connect(embedded_url(own), 20.0) as redis:
        is_back(clients, clients.mark())
        emptied(redis)
        # Who asks first mends it, the watcher of readiness too: whether a client met the gap is chance.
        until(lambda: None not in redis.mget([row_key(WINDOW.name, symbol) for symbol in SYMBOLS]), "it stays empty")
        is_back(clients, clients.mark())


def test_killed_redis(service, own, home, expected):
    with redis_filled(own, home), asked(service, own, expected) as clients:
        is_back(clients, clients.mark())
        pid, before = redis_pid(own), restarts(own)
        os.kill(pid, signal.SIGKILL)
        until(lambda: restarts(own) > before, "it is not started again")
        is_back(clients, clients.mark())
        assert restarts(own) == before + 1
        assert redis_pid(own) != pid


def test_damaged_redis(service, own, home, expected):
    """Two symbols exchanged, a value of another type, a bit: right answers all the while, and mended by itself."""
    one, other, third = (row_key(WINDOW.name, symbol) for symbol in SYMBOLS[:3])
    with redis_filled(own, home), asked(service, own, expected) as clients, connect(embedded_url(own), 20.0) as redis:
        is_back(clients, clients.mark())
        held = redis.mget([one, other])
        redis.mset({one: held[1], other: held[0]})
        until(lambda: f'quantlake_online_unverified_total{{view="{WINDOW.name}"}}' in counted(own), "it is not counted")
        until(lambda: redis.mget([one, other]) != held[::-1], "they stay exchanged")
        redis.delete(third)
        redis.zadd(third, {"no window": 1.0})
        until(lambda: None not in redis.mget([one, other, third]), "the other type stays")
        is_back(clients, clients.mark())


def counted(own):
    """What the service counts, as a scrape tells it."""
    return httpx.get(f"http://{own.host}:{own.port}/metrics", headers=headers_of(own), timeout=120).text


def test_slow_redis(own, home, expected, served, tmp_path):
    """Behind a proxy that is late: the deadline holds, and the tables answer."""
    aside = Settings(home=tmp_path)
    with redis_filled(own, home), Proxy(own) as proxy:
        reader = OnlineReader.open(own.model_copy(update={"redis_url": proxy.url}))
        predictor = Predictor(reader, Champions(own), ForecastLog.open(aside), LogReader(aside), home.clock)
        with served(build_app(predictor)) as url:
            host, port = url.removeprefix("http://").split(":")
            with Clients((host, int(port)), headers_of(aside), QUESTIONS, count=2, expected=expected) as clients:
                clients.wait_for(ANSWERS, 0)
                is_back(clients, clients.mark())
                proxy.late_seconds = 2 * DEADLINE_MS / 1e3
                until(lambda: all(one.is_flagged for one in clients.told[-ANSWERS:]))
                reasons = {one.said["data"]["degraded_because"] for one in clients.told[-ANSWERS:]}
                proxy.late_seconds = 0.0
                until(lambda: np.mean([one.is_flagged for one in clients.told[-ANSWERS:]]) < 0.1)
        predictor.close()
    assert clients.wrong == []
    assert {one.status for one in clients.told} == {200}
    assert any(f"did not answer within {DEADLINE_MS} ms" in reason for reason in reasons), reasons


class Silent:
    """Rows from the tables that do not say so."""

    def __init__(self, reader):
        self._reader, self.symbols, self.close = reader, reader.symbols, reader.close
        self.assigned_symbols = reader.assigned_symbols

    def read(self, symbols):
        batch = self._reader.read(symbols)
        return dataclasses.replace(batch, served=dataclasses.replace(batch.served, degradation=None, source="redis"))


def test_an_answer_that_is_degraded_and_does_not_say_so_is_found(own, home, expected, served, tmp_path):
    """The mutant."""
    aside = Settings(home=tmp_path)
    logs = ForecastLog.open(aside), LogReader(aside)
    predictor = Predictor(Silent(OnlineReader.open(own)), Champions(own), *logs, home.clock)
    with served(build_app(predictor)) as url:
        host, port = url.removeprefix("http://").split(":")
        asking = Clients((host, int(port)), headers_of(aside), QUESTIONS, count=1, expected=expected)
        with asking as clients, pytest.raises(AssertionError):
            stands_in(clients, clients.mark())
    predictor.close()
    assert clients.wrong == []
