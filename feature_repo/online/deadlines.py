"""A Redis client whose whole call ends at a deadline, however slowly the answer drips in.

redis-py's timeouts count for each step on the socket, so an answer in many small pieces can take many times as long.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from socket import socket
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's, which is not the built-in one
from redis.retry import Retry

from feature_repo.online.redis_server import credentials_of

_of_thread = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let everything that this thread reads from or writes to a `timed_client` end within a time."""
    _of_thread.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        _of_thread.ends = None


class TimedClient:
    """Asks Redis for values, heeds `deadline`, and never waits twice. Safe for threads.

    It uses redis-py's connections without the machinery around them, which costs three times as much as the question.

    Parameters
    ----------
    url
        Of the server.
    timeout_seconds
        Longest wait for each step, outside of a deadline.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._idle: deque[Any] = deque()
        options: Any = parse_url(url)  # type: ignore[no-untyped-call]  # redis-py leaves it without types
        kind = _TIMED[options.pop("connection_class", Connection)]
        limits: dict[str, Any] = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
        limits["credential_provider"] = credentials_of(url)
        self._connect = partial(kind, **limits, retry=Retry(NoBackoff(), 0), **options)

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of keys, None where there is none.

        Raises
        ------
        redis.exceptions.RedisError
            If the server refuses, or does not answer in time.
        """
        try:
            kept = self._idle.pop()
        except IndexError:
            return self._ask(self._connect(), keys)
        try:
            return self._ask(kept, keys)
        except ConnectionError:
            # The server has closed it since, perhaps because it was restarted.
            return self._ask(self._connect(), keys)

    def close(self) -> None:
        """End the connections that are not in use."""
        while self._idle:
            self._idle.pop().disconnect()

    def _ask(self, connection: Any, keys: Sequence[str]) -> list[bytes | None]:
        try:
            connection.send_packed_command(connection.pack_command("MGET", *keys), check_health=False)
            answer: list[bytes | None] = connection.read_response()
        except BaseException:
            connection.disconnect()
            raise
        self._idle.append(connection)
        return answer

    def __del__(self) -> None:
        """End what is left open."""
        self.close()


class _Timed:
    """A socket that waits no longer than the deadline of the thread that uses it."""

    def __init__(self, opened: socket) -> None:
        self._socket, self._timeout = opened, opened.gettimeout()

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds
        self._socket.settimeout(seconds)

    def recv(self, size: int) -> bytes:
        self._wait_no_longer()
        return self._socket.recv(size)

    def recv_into(self, buffer: Any) -> int:
        self._wait_no_longer()
        return self._socket.recv_into(buffer)

    def sendall(self, content: Any) -> None:
        self._wait_no_longer()
        self._socket.sendall(content)

    def _wait_no_longer(self) -> None:
        ends = getattr(_of_thread, "ends", None)
        if ends is None or self._timeout == 0:
            self._socket.settimeout(self._timeout)
            return
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._socket.settimeout(left if self._timeout is None else min(left, self._timeout))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class _TimedConnection(Connection):
    def _connect(self) -> Any:
        return _Timed(super()._connect())  # type: ignore[no-untyped-call]  # redis-py leaves it without types


class _TimedSSLConnection(SSLConnection):
    def _connect(self) -> Any:
        return _Timed(super()._connect())  # type: ignore[no-untyped-call]


class _TimedUnixConnection(UnixDomainSocketConnection):
    def _connect(self) -> Any:
        return _Timed(super()._connect())  # type: ignore[no-untyped-call]


_TIMED: dict[Any, Any] = {
    Connection: _TimedConnection,
    SSLConnection: _TimedSSLConnection,
    UnixDomainSocketConnection: _TimedUnixConnection,
}
