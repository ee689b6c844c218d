"""A Redis client whose whole call ends at a deadline, however slowly the answer drips in.

redis-py's timeouts count for each step on the socket, so an answer in many small pieces can take many times as long.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from typing import Any

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.retry import Retry

_of_thread = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let everything that this thread reads from or writes to a `timed_client` end within a time."""
    _of_thread.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        _of_thread.ends = None


def timed_client(url: str, timeout_seconds: float) -> Redis:
    """Return a client that never tries twice and heeds `deadline`; outside of one each step has the timeout."""
    options: Any = parse_url(url)  # type: ignore[no-untyped-call]  # redis-py leaves it without types
    plain = options.pop("connection_class", Connection)
    pool = ConnectionPool(
        connection_class=_TIMED[plain],
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        **options,
    )
    return Redis.from_pool(pool)


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
