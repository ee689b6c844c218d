"""The endpoint's processes: restarted, spread over, and gone with the process that started them, however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from lake.errors import ConfigError
from lake.settings import Settings
from serving.processes import pidfile, sockets
from serving.processes.pidfile import Process
from serving.supervision import serve_environment
from support.ports import free_port
from support.waiting import until

SCRIPT = Path(__file__).parent / "supervised.py"
WORKERS, CONNECTIONS = 2, 30


@pytest.fixture
def configured(tmp_path):
    return Settings(home=tmp_path, port=free_port(), workers=WORKERS)


@contextmanager
def started(configured, what="supervise", **environment):
    """Run it while a block lasts, and end whatever outlives it."""
    with ExitStack() as ending:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), what],
            env=serve_environment(configured) | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        ending.callback(lambda: (process.kill(), process.communicate()))
        ending.callback(lambda: [kill(one) for one in tree(process)])
        yield process


def tree(process):
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def kill(process):
    with suppress(psutil.NoSuchProcess):
        process.kill()


def is_gone(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def workers(process):
    return children(process, "worker")


def explaining(process):
    return children(process, "explaining")


def children(process, what):
    found = []
    for one in tree(process):
        with suppress(psutil.Error):
            if what in one.cmdline():
                found.append(one)
    return found


def connected(configured):
    return socket.create_connection((configured.host, configured.port), timeout=120)


def asked(connection):
    """Which worker answers on a connection."""
    connection.sendall(b"?")
    answer = connection.recv(64)
    assert answer, "the connection broke"
    return int(answer)


def answering(configured, count=WORKERS):
    """Wait until so many workers answer, and return their process ids."""
    seen = set()

    def have_answered():
        with suppress(OSError, AssertionError), connected(configured) as connection:
            seen.add(asked(connection))
        return len(seen) == count

    until(have_answered)
    return seen


def test_connections_that_are_kept_open_are_spread_over_the_workers(configured):
    with started(configured), ExitStack() as opened:
        both = answering(configured)
        connections = [opened.enter_context(connected(configured)) for _ in range(CONNECTIONS)]
        count = Counter(asked(one) for one in connections)
    assert set(count) == both
    assert min(count.values()) >= 3  # fewer has a probability of one in a million


def test_a_dead_worker_is_replaced_and_the_other_answers_meanwhile(configured):
    with started(configured) as process:
        answering(configured)
        dead, other = workers(process)
        dead.kill()
        until(lambda: is_gone(dead) and len(workers(process)) == WORKERS)
        for _ in range(CONNECTIONS):
            with connected(configured) as connection:
                assert asked(connection) != dead.pid
        assert other.pid in answering(configured)


def test_the_dead_process_that_computes_explanations_is_replaced_and_the_workers_answer(configured):
    with started(configured) as process:
        both = answering(configured)
        dead = until(lambda: explaining(process))[0]
        dead.kill()
        until(lambda: any(one.pid != dead.pid for one in explaining(process)), seconds=60)
        assert {one.pid for one in workers(process)} == both


def test_connections_wait_for_the_next_worker_where_there_is_no_other(configured):
    lone = configured.model_copy(update={"workers": 1})
    with started(lone) as process:
        (before,) = answering(lone, 1)
        dead = psutil.Process(before)
        dead.kill()
        until(lambda: is_gone(dead))  # until then it may take a connection along
        with connected(lone) as connection:
            after = asked(connection)
        assert after != before
        assert [one.pid for one in workers(process)] == [after]


@pytest.mark.parametrize("killed", ["parent", "supervisor"])
def test_nothing_outlives_the_process_that_started_it_and_a_restart_works_at_once(configured, killed):
    with started(configured, "parent") as process:
        answering(configured)
        all_of_them = tree(process)
        supervisor = next(one for one in all_of_them if "supervise" in one.cmdline())
        (process if killed == "parent" else supervisor).send_signal(signal.SIGKILL)
        with started(configured) as again:
            answered = answering(configured)
            until(lambda: all(is_gone(one) for one in all_of_them))
            assert answering(configured) >= answered - {one.pid for one in all_of_them}
            assert again.poll() is None


@pytest.mark.slow
def test_a_worker_without_a_lifeline_outlives_its_supervisor(configured):
    """The mutant."""
    with started(configured, ORPHAN="yes") as process:
        answering(configured)
        left = workers(process)
        process.kill()
        process.wait()
        try:
            with started(configured) as again:
                assert again.wait(120) == 1
                assert "is served by process" in (said := again.stderr.read()) or "cannot listen" in said
            assert not any(is_gone(one) for one in left)
        finally:
            for one in left:
                kill(one)


def test_sigterm_ends_it_with_its_workers(configured):
    with started(configured) as process:
        answering(configured)
        left = tree(process)
        process.terminate()
        assert process.wait(120) == 0
        assert all(is_gone(one) for one in left)
        with pytest.raises(ConnectionRefusedError):
            connected(configured)


def test_workers_that_never_come_up_end_it(configured):
    with started(configured, SICK="yes") as process:
        assert process.wait(120) == 1
        assert "worker ended with 3" in process.stderr.read()


def test_a_second_one_on_the_same_port_is_refused_and_names_the_first(configured):
    with started(configured) as first:
        answering(configured)
        assert pidfile.holder(configured).supervisor.pid == first.pid
        with pytest.raises(ConfigError, match=f"served by process {first.pid}. Stop it"), pidfile.held(configured):
            pass
    assert pidfile.holder(configured) is None


def test_a_process_id_that_was_given_away_again_is_not_believed(configured):
    path = pidfile.pid_file(configured)
    path.parent.mkdir()
    us = Process.of(os.getpid())
    for started_at, is_believed in ((us.started, True), (us.started - 60, False)):
        told = {"pid": us.pid, "started": started_at}
        path.write_text(json.dumps({"supervisor": told, "parent": told}))
        assert (pidfile.holder(configured) is not None) is is_believed
    path.write_text("garbage")
    assert pidfile.holder(configured) is None
    with pidfile.held(configured):
        assert pidfile.holder(configured).supervisor == us


def test_an_address_that_somebody_else_listens_on_is_refused(configured, monkeypatch):
    monkeypatch.setattr(sockets, "FREE_SECONDS", 0.1)
    with socket.create_server((configured.host, configured.port)), pytest.raises(ConfigError, match="cannot listen on"):
        sockets.require_free(configured)
    with pytest.raises(ConfigError, match="no IP address"):
        sockets.require_free(configured.model_copy(update={"host": "example.org"}))


def test_a_start_waits_for_an_address_that_is_about_to_be_free(configured):
    with socket.create_server((configured.host, configured.port)) as before:
        timer = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[before.fileno()])
    try:
        assert not is_free_now(configured)
        timer.communicate(b"\n")
        sockets.require_free(configured)
    finally:
        timer.kill()
        timer.wait()


def is_free_now(configured):
    with socket.socket() as probe:
        return bool(probe.connect_ex((configured.host, configured.port)))
