"""The service ended at any moment under load: what a client was given is in the log once, and in the table once."""

import os
import random
import signal
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lake.store import Lake
from lake.tables import FORECASTS
from lake.universe import SYMBOLS
from serving.forecast_log import LogReader, drain, log_path
from serving.supervision import serve_environment
from support.clients import headers_of
from support.failures import Clients, Lives
from support.services import is_worker, running_service
from support.waiting import rest, until

SCRIPT = Path(__file__).parent / "quick_service.py"
QUESTIONS = [(symbol, 1) for symbol in SYMBOLS[:10]]
ASKING = 8
SEED = 20_121_231


@pytest.fixture
def own(copy_home, tmp_path):
    """A home of its own; the Redis is the shared one."""
    # A machine that is busy must not make it turn requests away: what is looked at here is another thing.
    return copy_home(tmp_path / "home", queue_ms=20_000).settings


@contextmanager
def clients_of(settings, address, **given):
    asking = Clients(address, headers_of(settings), QUESTIONS, count=ASKING, pause_seconds=0.0, **given)
    with asking as clients:
        yield clients


def given_ids(clients):
    return [one.said["prediction_id"] for one in clients.told if one.status == 200]


def lost_or_doubled(settings, ids):
    """Which of the answers that clients hold are not exactly once in the log, and in the table after the drain."""
    lake, log = Lake.open(settings), LogReader(settings)
    while not drain(lake, settings).skipped:
        pass
    stored = lake.read(FORECASTS)["forecast_id"].to_list() if lake.exists(FORECASTS) else []
    assert len(set(ids)) == len(ids)
    assert len(stored) == len(set(stored)) == log.count()
    return sorted(set(ids) - set(stored))


def kill_under_load(settings, lives, kills, how="start"):
    """Start and kill it so many times while clients ask; each life answers a while, and ends in the middle of it."""
    seeded = random.Random(SEED)
    with clients_of(settings, lives.address) as clients:
        for _ in range(kills):
            began = clients.mark()
            lives.start(how)
            until(lambda began=began: sum(one.status == 200 for one in clients.since(began)) >= ASKING)
            rest(seeded.uniform(0.0, 0.2))  # so that it ends at any moment
            assert lives.end(signal.SIGKILL) == -signal.SIGKILL
    return clients


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_each_answer_that_a_client_holds_has_one_row_after_kills_at_load(own, kills):
    with Lives(SCRIPT, serve_environment(own)) as lives:
        clients = kill_under_load(own, lives, kills)
    ids = given_ids(clients)
    assert len(ids) >= kills * ASKING
    assert {one.status for one in clients.told} <= {0, 200}
    assert any(one.status == 0 for one in clients.told), "no kill met a request"
    assert lost_or_doubled(own, ids) == []
    sys.stdout.write(f"{kills} kills, {len(ids)} answers held, none lost, none twice\n")


@pytest.mark.slow
def test_a_log_that_says_it_is_written_before_it_is_loses_answers(own):
    """The mutant."""
    with Lives(SCRIPT, serve_environment(own)) as lives:
        clients = kill_under_load(own, lives, 1, "start early")
    assert lost_or_doubled(own, given_ids(clients))


@contextmanager
def log_held(settings):
    """Nobody can write to the log: whatever is asked now stays under way. Gives how many rows are in it."""
    with closing(sqlite3.connect(log_path(settings), isolation_level=None, timeout=5)) as other:
        other.execute("BEGIN IMMEDIATE")
        (rows,) = other.execute("SELECT count(*) FROM forecasts").fetchone()
        yield rows
        other.execute("ROLLBACK")


def ask_at_once(settings, address, while_under_way):
    """Let every client ask once, do something when all of them wait, and return what they were told."""
    with clients_of(settings, address) as clients:
        until(lambda: sum(one.status == 200 for one in clients.told) >= 2 * ASKING)
        with log_held(settings) as rows:
            until(lambda: len(given_ids(clients)) == rows and clients.under_way() == ASKING)
            before = len(clients.told)
            while_under_way()
            rest(0.5)
            assert len(clients.told) == before, "somebody was answered without a row"
            clients.over.set()
    return clients.told[before:], clients


@pytest.mark.slow
def test_sigterm_answers_what_is_under_way(own):
    """For a worker alone: it ends by the signal, after the last answer."""
    with Lives(SCRIPT, serve_environment(own)) as lives:
        pid = lives.start()
        under_way, clients = ask_at_once(own, lives.address, lambda: os.kill(pid, signal.SIGTERM))
        assert lives.ended() in {0, -signal.SIGTERM}
    assert [one.status for one in under_way] == [200] * ASKING
    assert lost_or_doubled(own, given_ids(clients)) == []


def test_sigterm_drains_through_the_supervisor_under_load(own):
    """What is under way is answered, nobody new is let in, it ends with 0, and nothing is lost."""
    with running_service(own) as service:
        under_way, clients = ask_at_once(own, service.at, service.process.terminate)
        assert service.process.wait(120) == 0
        assert service.left() == []
    assert [one.status for one in under_way] == [200] * ASKING
    assert lost_or_doubled(own, given_ids(clients)) == []
    with clients_of(own, service.at) as late:
        late.wait_for(ASKING, 0)
    assert {one.status for one in late.told} == {0}


@pytest.mark.slow
def test_with_two_workers_a_kill_costs_each_client_one_answer_at_most(own):
    """The other one answers all the while, and the supervisor starts the next."""
    two = own.model_copy(update={"workers": 2})
    with running_service(two) as service, clients_of(two, service.at) as clients:
        until(lambda: log_path(two, 1).exists() and LogReader(two).count() > 0, seconds=90)
        settled = clients.mark()
        until(lambda: sum(one.status == 200 for one in clients.since(settled)) >= 20 * ASKING)
        victim, *_ = service.workers()
        victim.kill()
        clients.wait_for(20 * ASKING, clients.mark())
        until(lambda: len(service.workers()) == 2 and not is_worker(victim))
        clients.wait_for(20 * ASKING, clients.mark())
        told = clients.since(settled)
        clients.over.set()
    assert {one.status for one in told} <= {0, 200}
    assert sum(one.status == 0 for one in told) <= ASKING
    assert lost_or_doubled(two, given_ids(clients)) == []
