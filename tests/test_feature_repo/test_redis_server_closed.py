"""Another user of the machine gets nowhere near the embedded server, and its clients can do no more than they need."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.retry import Retry

from feature_repo.online.redis_server import ServerPaths, connect, embedded_url, examine, paths, running_redis
from feature_repo.online.redis_server.process import peer_pid
from feature_repo.online.seals import OnlineKey, key_path
from lake.errors import OnlineStoreError
from lake.settings import Settings

STRANGER = 65_534
TRY = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
def tried(what, how):
    try:
        how()
    except PermissionError:
        print(what, "denied")
    except OSError as error:
        print(what, type(error).__name__)
    else:
        print(what, "OPEN")
address, *files = sys.argv[2:]
tried("connect", lambda: socket.socket(socket.AF_UNIX).connect(address))
for path in files:
    tried("read", lambda: open(path, "rb").read())
    tried("write", lambda: open(path, "ab").close())
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture(params=["near", "far"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home whose folders other users may enter, as far as that is the home's doing, with a server that runs."""
    folder = tmp_path_factory.mktemp("open")
    home = folder / ("home" if request.param == "near" else "n" * 120)
    for path in (folder, *folder.parents):
        if path.stat().st_uid == os.geteuid() and path != path.parent:
            path.chmod(path.stat().st_mode | 0o055)
    settings = Settings(home=home)
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    OnlineKey.of(settings)
    with running_redis(settings):
        yield settings


def attacked(settings: Settings, uid: int) -> list[str]:
    """What a process of a user achieves with the socket and the files."""
    found = ServerPaths.of(settings)
    files = [found.password, found.config, found.snapshot, found.log, key_path(settings)]
    found.snapshot.touch(mode=0o600)
    arguments = [sys.executable, "-c", TRY, str(uid), str(found.socket), *map(str, files)]
    told = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=120)
    return told.stdout.split("\n")[:-1]


@needs_root
def test_another_user_can_neither_connect_nor_read_anything(running: Settings) -> None:
    assert {line.split()[1] for line in attacked(running, STRANGER)} == {"denied"}
    # The mutants: the same attack by its owner succeeds, and so does a stranger's where folder and modes are open.
    assert {line.split()[1] for line in attacked(running, 0)} == {"OPEN"}
    found = ServerPaths.of(running)
    for path in (found.folder, found.socket.parent.parent, found.socket.parent, found.socket, found.password):
        path.chmod(0o777)
    assert {"connect OPEN", "read OPEN"} <= set(attacked(running, STRANGER))


def test_it_listens_on_its_socket_and_on_nothing_else(running: Settings) -> None:
    server = psutil.Process(peer_pid(ServerPaths.of(running).socket))
    listening = [one for one in server.net_connections("all") if one.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)]
    assert {one.family for one in listening} == {socket.AF_UNIX}
    assert {one.laddr for one in listening if one.laddr} == {str(ServerPaths.of(running).socket)}


def test_folders_and_files_are_for_their_owner_alone(running: Settings) -> None:
    found = ServerPaths.of(running)
    with connect(embedded_url(running), 5.0) as client:
        client.set("something", b"")
    assert stat.S_IMODE(found.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(found.socket.parent.stat().st_mode) == 0o700
    for path in (found.socket, found.password, found.config, found.log, key_path(running)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert examine(running) == []
    found.password.chmod(0o644)
    (finding,) = examine(running)
    assert finding.path == found.password
    assert "chmod 600" in finding.remedy


def test_the_password_is_in_its_file_alone(running: Settings) -> None:
    found = ServerPaths.of(running)
    password = found.password.read_text()
    server = psutil.Process(peer_pid(found.socket))
    shown = [*server.cmdline(), *server.environ().values(), embedded_url(running)]
    shown += [path.read_text(errors="replace") for path in found.folder.iterdir() if path.is_file()]
    assert sum(password in text for text in shown) == (found.password.parent == found.folder)
    with (
        pytest.raises(OnlineStoreError) as caught,
        running_redis(running.model_copy(update={"redis_url": "redis://x"})),
    ):
        pass
    assert password not in str(caught.value)


def test_without_the_password_nothing_is_answered(running: Settings) -> None:
    path = str(ServerPaths.of(running).socket)
    for password in (None, "guessed"):
        client = Redis(unix_socket_path=path, password=password, retry=Retry(NoBackoff(), 0))
        with client, pytest.raises((AuthenticationError, ResponseError), match=r"(?i)auth|password"):
            client.get("key")


def test_a_client_can_do_nothing_but_what_the_platform_needs(running: Settings) -> None:
    """Whatever the server knows is tried; a command that writes files, loads code or configures must be refused."""
    denied = (
        "CONFIG GET dir|CONFIG SET dir /tmp|CONFIG REWRITE|CONFIG RESETSTAT|DEBUG SLEEP 0|DEBUG RELOAD|MODULE LIST|"
        "MODULE LOAD x.so|REPLICAOF 127.0.0.1 1|SLAVEOF NO ONE|MIGRATE 127.0.0.1 1 k 0 1|ACL LIST|"
        "ACL SETUSER default +@all|ACL SAVE|FUNCTION LIST|FUNCTION LOAD x|FCALL f 0|BGREWRITEAOF|SAVE|BGSAVE|"
        "SHUTDOWN|FAILOVER|SYNC|PSYNC ? -1|FLUSHALL|FLUSHDB|SWAPDB 0 1|KEYS *|MONITOR|"
        "CLIENT LIST|CLIENT KILL TYPE normal|"
        "CLIENT PAUSE 1000|SCRIPT FLUSH|SCRIPT DEBUG YES|SCRIPT KILL|CLUSTER INFO|"
        "SLOWLOG GET|LATENCY DOCTOR|MEMORY DOCTOR|"
        "DUMP k|RESTORE k 0 x|SORT k|SUBSCRIBE c|PUBLISH c m|OBJECT ENCODING k|COMMAND|LOLWUT|WAIT 0 1|"
        "EVAL return(redis.call('CONFIG','GET','dir')) 0|EVAL return(redis.call('FLUSHALL')) 0"
    )
    with connect(embedded_url(running), 5.0) as client:
        for command in denied.split("|"):
            with pytest.raises(RedisError):
                client.execute_command(*command.split())
        assert client.ping()


@needs_root
def test_a_folder_that_another_user_made_first_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "SHORT_FOLDER", tmp_path)
    settings = Settings(home=tmp_path / ("n" * 120))
    trap = paths.short_folder()
    trap.mkdir()
    os.chown(trap, STRANGER, STRANGER)
    with (
        pytest.raises(OnlineStoreError, match=rf"{trap} is a folder of user {STRANGER}.*Remove it"),
        running_redis(settings),
    ):
        pass
    trap.rmdir()
    (tmp_path / "elsewhere").mkdir()
    trap.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OnlineStoreError, match="a link or a file"), running_redis(settings):
        pass


@pytest.mark.parametrize(
    ("content", "mode", "what"),
    [(b"", 0o600, "holds no key"), (b"\xff" * 64, 0o600, "holds no key"), (b"ab" * 32, 0o644, "open to others")],
)
def test_a_key_file_that_is_no_secret_is_refused_and_named(
    tmp_path: Path, content: bytes, mode: int, what: str
) -> None:
    settings = Settings(home=tmp_path)
    path = key_path(settings)
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(OnlineStoreError, match=rf"{what}.*Delete it and run `quantlake update`"):
        OnlineKey.of(settings)
    (finding,) = examine(settings)
    assert (finding.path, what in finding.what) == (path, True)
    assert content.decode("latin-1") == "" or content.decode("latin-1") not in finding.what
    path.unlink()
    assert OnlineKey.of(settings) == OnlineKey.of(settings)
    assert repr(OnlineKey.of(settings)) == "OnlineKey()"
