"""The listening sockets of the workers: one each, on the same address, so that the kernel spreads connections.

With one socket for all, whichever worker wakes first takes a whole burst of connections: 30 connections that are kept
open were seen on one of two workers. With ``SO_REUSEPORT`` the kernel chooses a socket by a hash of the connection's
addresses. Linux lets only sockets of the same user share an address in that way.
"""

import ipaddress
import socket
import time
from typing import TYPE_CHECKING

from lake.errors import ConfigError

if TYPE_CHECKING:
    from lake.settings import Settings

FREE_SECONDS = 3.0
"""How long a start waits for the sockets of workers that are about to end."""
LOOK_SECONDS = 0.05


def require_free(configured: "Settings") -> None:
    """Wait until nobody listens at the settings' address; sockets that share it would not notice each other.

    Raises
    ------
    ConfigError
        If somebody still does after `FREE_SECONDS`, or the host is no IP address.
    """
    deadline = time.monotonic() + FREE_SECONDS
    while True:
        with socket.socket(_family(configured.host)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((configured.host, configured.port))
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ConfigError(
                        f"The endpoint cannot listen on {configured.host}:{configured.port}: {error.strerror}. Stop "
                        "what listens there (`ss -ltnp` names it), or set QUANTLAKE_PORT to another port."
                    ) from error
            else:
                return
        time.sleep(LOOK_SECONDS)


def bound(configured: "Settings") -> socket.socket:
    """Return a socket at the settings' address that shares it with those of other workers, and does not listen yet."""
    made = socket.socket(_family(configured.host))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((configured.host, configured.port))
    return made


def is_listening(one: socket.socket) -> bool:
    """Whether a socket, or the copy of it in another process, listens."""
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _family(host: str) -> socket.AddressFamily:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError as error:
        raise ConfigError(
            f"QUANTLAKE_HOST is {host!r}, which is no IP address. Write e.g. 127.0.0.1 or 0.0.0.0."
        ) from error
    return socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004 - the version of the protocol
