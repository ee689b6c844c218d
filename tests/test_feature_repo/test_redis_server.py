"""The embedded Redis: started when needed, shared while it runs, stopped by the last of its users."""

import os
import stat
import subprocess
import sys

import pytest
from redis import Redis

from feature_repo import redis_server
from feature_repo.redis_server import connect, embedded_url, redis_url, running_redis
from lake.errors import OnlineStoreError
from lake.settings import Settings


def is_up(settings: Settings) -> bool:
    from redis.exceptions import RedisError

    with connect(embedded_url(settings), 1.0) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def test_it_runs_while_wanted_on_loopback_only_and_leaves_no_process(settings: Settings) -> None:
    with running_redis(settings) as url, Redis.from_url(url) as client:
        assert client.ping()
        process = client.info("server")["process_id"]
        assert client.config_get("bind")["bind"] == "127.0.0.1"
        assert int((settings.redis / "redis.pid").read_text()) == process
    assert not is_up(settings)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert not (settings.redis / "redis.pid").exists()


def test_what_was_stored_is_there_after_a_restart(settings: Settings) -> None:
    with running_redis(settings) as url, Redis.from_url(url) as client:
        client.set("kept", b"\x00\xff")
    with running_redis(settings) as url, Redis.from_url(url) as client:
        assert client.get("kept") == b"\x00\xff"


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
    code = (
        "import sys; from pathlib import Path; from redis import Redis; from lake.settings import Settings;"
        "from feature_repo.redis_server import running_redis;"
        "s = Settings(home=Path(sys.argv[1]), redis_port=int(sys.argv[2]));\n"
        "with running_redis(s) as url: print(Redis.from_url(url).info('server')['process_id'], flush=True); input()"
    )
    arguments = [sys.executable, "-c", code, str(settings.home), str(settings.redis_port)]
    workers = [subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [worker.stdout.readline().strip() for worker in workers]
    assert said[0] == said[1] != ""
    workers[0].communicate("\n", timeout=30)
    assert is_up(settings)
    workers[1].communicate("\n", timeout=30)
    assert [worker.returncode for worker in workers] == [0, 0]
    assert not is_up(settings)


def test_a_port_that_belongs_to_another_home_is_refused_with_the_way_out(settings: Settings, tmp_path) -> None:
    stranger = settings.model_copy(update={"home": tmp_path / "other"})
    with running_redis(settings):
        with (
            pytest.raises(OnlineStoreError, match=r"belongs to a Redis .* Set QUANTLAKE_REDIS_PORT"),
            running_redis(stranger),
        ):
            pass
        assert is_up(settings)


def test_a_port_that_is_no_redis_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(redis_server, "START_SECONDS", 1.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.redis_port))
        with pytest.raises(OnlineStoreError, match=r"did not come up .*QUANTLAKE_REDIS_PORT"), running_redis(settings):
            pass


def test_an_external_server_that_is_away_is_said_without_its_password(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": f"redis://:hush@127.0.0.1:{settings.redis_port}/0"})
    with pytest.raises(OnlineStoreError, match=r"No Redis answers at REDIS_URL .* unset REDIS_URL") as caught:  # noqa: SIM117
        with running_redis(away):
            pass
    assert "hush" not in str(caught.value)


def test_an_external_server_is_used_and_left_alone(settings: Settings, tmp_path) -> None:
    with running_redis(settings) as url:
        outside = settings.model_copy(update={"redis_url": url, "home": tmp_path / "other"})
        with running_redis(outside) as used:
            assert used == url == redis_url(outside)
        assert is_up(settings)
        assert not outside.redis.exists()


def test_its_folder_is_not_open_to_other_users(settings: Settings) -> None:
    with running_redis(settings):
        assert not stat.S_IMODE(settings.redis.stat().st_mode) & 0o077


def test_a_user_that_is_killed_no_longer_counts(settings: Settings) -> None:
    code = (
        "import sys; from pathlib import Path; from lake.settings import Settings;"
        "from feature_repo.redis_server import running_redis;"
        "s = Settings(home=Path(sys.argv[1]), redis_port=int(sys.argv[2]));\n"
        "with running_redis(s): print('in', flush=True); input()"
    )
    arguments = [sys.executable, "-c", code, str(settings.home), str(settings.redis_port)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline().strip() == "in"
        worker.kill()
    assert is_up(settings)
    with running_redis(settings):
        pass
    assert not is_up(settings)
