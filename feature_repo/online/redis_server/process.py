"""Start and stop the embedded server's process. Whoever calls holds the start lock of the home."""

import logging
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from redis.exceptions import BusyLoadingError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from feature_repo.online.redis_server.binary import server_binary
from feature_repo.online.redis_server.clients import connect
from feature_repo.online.redis_server.configuration import write_configuration
from feature_repo.online.redis_server.paths import ServerPaths, embedded_url
from feature_repo.online.redis_server.snapshot_file import set_aside_if_damaged
from lake.errors import OnlineStoreError
from lake.settings import Settings

logger = logging.getLogger("quantlake.online")

START_SECONDS = 20.0
STOP_SECONDS = 20.0
PROBE_SECONDS = 2.0
LOOK_SECONDS = 0.02
LOCAL_PEERPID = 2
"""macOS' name of what Linux calls SO_PEERCRED, among the options of level 0."""


def answers(settings: Settings) -> bool:
    """Whether the server of this home answers; one that is hung or still loads its snapshot does not."""
    with connect(embedded_url(settings), PROBE_SECONDS) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def require_running(settings: Settings) -> bool:
    """Start the server unless it answers; say whether that was needed.

    A process that holds the socket and does not answer to the password, or not at all, is ended first.

    Raises
    ------
    OnlineStoreError
        If it does not come up; the message has the last words of its log.
    """
    if answers(settings):
        return False
    places = ServerPaths.of(settings)
    places.make()
    if peer_pid(places.socket) is not None:
        if _comes_to(settings):
            return False
        stop(settings)
        places.make()
    _start(settings, places)
    return True


def stop(settings: Settings) -> None:
    """Ask for a snapshot and an orderly end, and wait until the server is gone; one that does not obey is ended.

    The signal goes to the process at the other end of the socket, as the kernel names it: never to a process that has
    got the number in the pid file since.
    """
    places = ServerPaths.of(settings)
    pid = peer_pid(places.socket)
    if pid is None:
        return
    _signal(pid, signal.SIGTERM)
    if not _within(STOP_SECONDS, lambda: not is_running(pid)):
        _signal(pid, signal.SIGKILL)
        _within(PROBE_SECONDS, lambda: not is_running(pid))
    places.pid.unlink(missing_ok=True)
    if places.socket.parent != places.folder:
        shutil.rmtree(places.socket.parent, ignore_errors=True)


def peer_pid(path: Path) -> int | None:
    """Process that listens on a unix socket; None where nobody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path))
            if sys.platform == "darwin":
                return probe.getsockopt(0, LOCAL_PEERPID)
            pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        except OSError:
            return None
        return int(pid)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be noticed by its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state != "Z"


def _start(settings: Settings, places: ServerPaths) -> None:
    binary = server_binary()
    set_aside_if_damaged(binary, places)
    write_configuration(places)
    places.pid.unlink(missing_ok=True)
    # It leaves this process's session: Ctrl-C reaches the platform, whose last user then stops the server in order.
    started = subprocess.run(
        [binary, places.config], capture_output=True, text=True, errors="replace", umask=0o077, check=False
    )
    if started.returncode == 0:
        _within(START_SECONDS, lambda: answers(settings) or _has_ended(places))
        if answers(settings):
            return
    output = started.stdout + started.stderr if started.returncode else _log_of(places)
    raise OnlineStoreError(
        f"The embedded server {binary} did not come up on {places.socket}. {_last_words(output)} Mend that, or set "
        "REDIS_URL to a server that runs."
    )


def _has_ended(places: ServerPaths) -> bool:
    """Whether the process that wrote the pid file is gone."""
    try:
        pid = int(places.pid.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    return not is_running(pid)


def _comes_to(settings: Settings) -> bool:
    """Whether a server that holds the socket answers after all: it may read its snapshot, or the machine be busy."""

    def is_over() -> bool:
        with connect(embedded_url(settings), PROBE_SECONDS) as client:
            try:
                client.ping()
            except (BusyLoadingError, RedisTimeoutError):
                return False
            except RedisError:
                return True
        return True

    return _within(START_SECONDS, is_over) and answers(settings)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        logger.debug("the embedded server %d had ended by itself", pid)


def _within(seconds: float, is_so: Callable[[], bool]) -> bool:
    """Wait until something is so, and say whether it came to be within the time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _log_of(places: ServerPaths) -> str:
    return places.log.read_text(encoding="utf-8", errors="replace") if places.log.exists() else ""


def _last_words(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return f"Its log ends with: {lines[-1]}" if lines else "It wrote no log."
