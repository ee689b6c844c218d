"""Open sockets of processes, as Linux lists them, for comparison with the declared ones."""

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LISTENS, UNCONNECTED = "0A", "07"
"""States of a socket in ``/proc/net/tcp``, and in ``/proc/net/udp`` of one that takes datagrams of anyone."""
ACCEPTS = 0x10000
"""Flag of a socket in ``/proc/net/unix`` that takes connections."""
DATAGRAM = "0002"
INODE = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True, order=True)
class OpenSocket:
    """One socket that others can reach.

    Parameters
    ----------
    kind
        ``tcp``, ``udp`` or ``unix``.
    address
        Address of IP, or the path of a unix socket; one that begins with ``@`` is abstract, and open to every user.
    port
        0 for unix sockets.
    pid, command
        A process that holds it, and its command line.
    """

    kind: str
    address: str
    port: int
    pid: int
    command: str


def open_sockets(pids: Iterable[int]) -> list[OpenSocket]:
    """Return every socket of these processes that others can reach; a process that has ended has none."""
    found = set()
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            held = set(_inodes(pid))
            for inode, kind, address, port in _listed(pid):
                if inode in held:
                    found.add(OpenSocket(kind, address, port, pid, command))
    return sorted(found)


def processes_of(variable: str, value: str, folder: Path) -> list[int]:
    """Return the processes that were started with an environment variable, or that work in a folder.

    A server that left the tree of its parent is found too; Redis overwrites its environment, and works in its folder.
    """
    wanted = f"{variable}={value}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_started_with = wanted in (process / "environ").read_bytes().split(b"\0")
            if is_started_with or (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return sorted(found)


def _inodes(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if found := INODE.fullmatch(str(descriptor.readlink())):
                yield found[1]


def _listed(pid: int) -> Iterator[tuple[str, str, str, int]]:
    """Inode, kind, address and port of every socket of the process's network that can be reached."""
    for table, state in (("tcp", LISTENS), ("tcp6", LISTENS), ("udp", UNCONNECTED), ("udp6", UNCONNECTED)):
        for row in _rows(pid, table):
            local, remote = row[1], row[2]
            if row[3] == state and remote.endswith(":0000"):
                address, _, port = local.rpartition(":")
                yield row[9], table.rstrip("6"), _ip(address), int(port, 16)
    for row in _rows(pid, "unix"):
        path = " ".join(row[7:])
        if path and (int(row[3], 16) & ACCEPTS or row[4] == DATAGRAM):
            yield row[6], "unix", path, 0


def _rows(pid: int, table: str) -> list[list[str]]:
    path = Path(f"/proc/{pid}/net/{table}")
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:]] if path.exists() else []


def _ip(digits: str) -> str:
    """An address as the kernel writes it: 32-bit words in the byte order of the machine."""
    words = bytes.fromhex(digits)
    raw = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)  # noqa: PLR2004 - bytes of IPv4
