"""The listening sockets of the workers: one each, on the same address, so that the kernel spreads connections.

With one socket for all, whichever worker wakes first takes a whole burst of connections: 30 connections that are kept
open were seen on one of two workers. With ``SO_REUSEPORT`` the kernel chooses a socket by a hash of the connection's
addresses. Linux lets only sockets of the same user share an address in that way.
"""

import ipaddress
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lake.errors import ConfigError

if TYPE_CHECKING:
    from lake.settings import Settings

FREE_SECONDS = 3.0
"""How long a start waits for the sockets of workers that are about to end."""
LOOK_SECONDS = 0.05
LISTENING = "0A"
"""State of a listening socket in the kernel's tables."""
TABLES = ("tcp", "tcp6")


def require_free(configured: "Settings") -> None:
    """Wait until no socket listens at the settings' address; sockets that share it would not notice each other.

    Raises
    ------
    ConfigError
        If one still does after `FREE_SECONDS`, or the host is no IP address.
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


def require_own(address: str) -> None:
    """Refuse an address of this machine at which another user listens; nothing is sent to it.

    Whoever listens at a port first hears the keys of all who take it for the service. Only Linux says whose a socket
    is; elsewhere nothing is refused here.

    Raises
    ------
    ConfigError
        If a socket of another user listens there.
    """
    parts = urlsplit(address)
    own = os.geteuid()
    for user in _listeners(parts.hostname or "", parts.port or 0):
        if user != own:
            raise ConfigError(
                f"What listens at {parts.hostname}:{parts.port} belongs to user {user}, not to user {own} who runs "
                "this; no key was sent to it. `ss -ltnp` as root names it. Have it stopped, or set QUANTLAKE_PORT to "
                "another port."
            )


def _listeners(host: str, port: int) -> list[int]:
    """Users whose sockets listen at an address or at every address, as far as the kernel says it."""
    try:
        places = {_in_table(address) for address in (host, "0.0.0.0", "::")}  # noqa: S104 - compared, not bound
    except ValueError:
        return []
    users = []
    for table in TABLES:
        try:
            rows = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for local, state, user in ((row[1], row[3], row[7]) for row in map(str.split, rows)):
            place, _, number = local.partition(":")
            if state == LISTENING and int(number, 16) == port and place in places:
                users.append(int(user))
    return users


def _in_table(host: str) -> str:
    """An address as the kernel's tables have it: each 32 bits as a number of this machine, in hexadecimal digits."""
    packed = ipaddress.ip_address(host).packed
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


def bound(configured: "Settings") -> socket.socket:
    """Return a socket at the settings' address that shares it with those of other workers, and does not listen yet."""
    made = socket.socket(_family(configured.host))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((configured.host, configured.port))
    return made


def is_listening(listener: socket.socket) -> bool:
    """Whether a socket, or the copy of it in another process, listens."""
    return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _family(host: str) -> socket.AddressFamily:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError as error:
        raise ConfigError(
            f"QUANTLAKE_HOST is {host!r}, which is no IP address. Write e.g. 127.0.0.1 or 0.0.0.0."
        ) from error
    return socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004 - the version of the protocol
