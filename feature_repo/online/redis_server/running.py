"""Use the embedded server: started by its first user, kept alive while there is one, stopped by the last."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from filelock import FileLock
from redis.exceptions import RedisError

from feature_repo.online.redis_server.clients import connect
from feature_repo.online.redis_server.paths import ServerPaths, embedded_url
from feature_repo.online.redis_server.process import PROBE_SECONDS, START_SECONDS, STOP_SECONDS, require_running, stop
from feature_repo.online.redis_server.supervisor import RedisSupervisor
from lake.disk import write_private
from lake.errors import OnlineStoreError
from lake.settings import Settings

logger = logging.getLogger("quantlake.online")


@contextmanager
def running_redis(settings: Settings) -> Iterator[str]:
    """Yield the address of a Redis that answers, starting the embedded one if need be.

    With `settings.redis_url` that server is used and left alone. Otherwise the embedded server of this home is used if
    it runs, and started if not. A server that dies meanwhile is started again. The last of its users stops it, after it
    has written its snapshot, from which the next start reads everything back: so the UI can be closed while the
    endpoint goes on.

    Raises
    ------
    OnlineStoreError
        If there is no server or it does not come up, or the one of `settings.redis_url` does not answer.
    """
    if settings.redis_url:
        _require_answer(settings.redis_url)
        yield settings.redis_url
        return
    settings.redis.mkdir(parents=True, exist_ok=True, mode=0o700)
    places = ServerPaths.of(settings)
    places.make()
    starting = FileLock(places.folder / "start.lock", timeout=START_SECONDS + STOP_SECONDS)
    # Users hold this file shared; the kernel lets go of it for a process that is killed.
    with (places.folder / "users.lock").open("w", encoding="utf-8") as users:
        with starting:
            require_running(settings)
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            with RedisSupervisor(places.socket, lambda: _bring_back(settings)):
                yield embedded_url(settings)
        finally:
            with starting:
                if _is_last(users):
                    stop(settings)


def restarts(settings: Settings) -> int:
    """How often the embedded server of this home was started again after it had died."""
    try:
        return int(ServerPaths.of(settings).restarts.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _bring_back(settings: Settings) -> None:
    places = ServerPaths.of(settings)
    with FileLock(places.folder / "start.lock", timeout=START_SECONDS + STOP_SECONDS):
        if require_running(settings):
            write_private(places.restarts, str(restarts(settings) + 1))
            logger.warning("the online store's server had ended; it was started again")


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


def _is_last(users: IO[str]) -> bool:
    """Give up this process's use of the server, and say whether nobody else uses it."""
    fcntl.flock(users, fcntl.LOCK_UN)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
