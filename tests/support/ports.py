"""For tests: ports of this machine that no other test, worker or run gets while this process lives."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lake.errors import ConfigError

HOST = "127.0.0.1"
FIRST, LAST = 20_000, 32_000
"""Below what Linux gives to the near ends of connections (``net.ipv4.ip_local_port_range``, from 32,768 by default).

A port that was bound to 0 and let go lies among those, and may be somebody's before the server that it is for has come
up.
"""
CLAIMS = Path(tempfile.gettempdir()) / f"quantlake-test-ports-{os.getuid()}"
"""A file whose bytes are locked, one for each port; it stays empty."""


def free_port() -> int:
    """Return a loopback port that nothing listens on, and that is this process's until its end.

    Whoever asks here, in whichever process, is given another one: each claims its port by a lock that the kernel lets
    go of with the process.

    Raises
    ------
    ConfigError
        If none is left.
    """
    for port in _candidates():
        if _claim(port) and _is_free(port):
            return port
    raise ConfigError(f"No port between {FIRST} and {LAST} is free. End the servers that hold them.")


@cache
def _candidates() -> Iterator[int]:
    """Every port once, from a place of this process on, so that few ask for one that another has."""
    count = LAST - FIRST
    start = os.getpid() * 97 % count
    return (FIRST + (start + number) % count for number in range(count))


@cache
def _claims() -> int:
    """The one descriptor of the file: closing any other would let go of every lock."""
    return os.open(CLAIMS, os.O_RDWR | os.O_CREAT, 0o600)


def _claim(port: int) -> bool:
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_free(port: int) -> bool:
    """Whether a server can listen there now; what an earlier one left in TIME_WAIT is no hindrance to it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
