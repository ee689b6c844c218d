"""Configuration of the embedded server: one socket, one user, the commands in use, the snapshot's path."""

import hashlib
import os
import secrets
from pathlib import Path

from feature_repo.online.redis_server.paths import ServerPaths
from lake.disk import write_private

SAVE_AFTER = (60, 1)
"""Seconds after which a snapshot is written if so many keys have changed."""
COMMANDS = (
    # values: rows, indexes, generations, newest forecasts
    *("get", "set", "mget", "mset", "getrange", "del", "exists", "scan", "type", "dbsize"),
    # transactions
    *("multi", "exec", "discard", "watch", "unwatch"),
    # counts of requests, and the scripts that take them; a script may call no other commands than these
    *("eval", "evalsha", "script|load", "zadd", "zcard", "zrange", "zremrangebyscore", "zscore", "expire", "ttl"),
    # the connection itself, and what the server says of itself
    *("ping", "hello", "select", "client|setname", "client|id", "info"),
)
"""All that a client may do: nothing that writes files, loads code into the server, configures, debugs or replicates.

Redis 7.0 refuses to start with a command that it does not know, e.g. ``client|setinfo`` of 7.2.
"""


def write_configuration(places: ServerPaths) -> None:
    """Write password and configuration anew, each readable for its owner alone."""
    password = secrets.token_urlsafe(32)
    write_private(places.password, password)
    write_private(places.config, configuration(places, password))


def configuration(places: ServerPaths, password: str) -> str:
    """Return directives that Redis 7 and Valkey share. Of the password there is its SHA-256 alone."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    allowed = " ".join(f"+{command}" for command in COMMANDS)
    directives = {
        "port": "0",
        "unixsocket": _quoted(places.socket),
        "unixsocketperm": "600",
        "daemonize": "yes",
        "dir": _quoted(places.folder),
        "dbfilename": places.snapshot.name,
        "pidfile": _quoted(places.pid),
        "logfile": _quoted(places.log),
        "loglevel": "warning",
        "databases": "1",
        "appendonly": "no",
        "save": " ".join(map(str, SAVE_AFTER)),
        # A full disk must not stop the answers: what is here can be had from the tables again.
        "stop-writes-on-bgsave-error": "no",
        "enable-debug-command": "no",
        "enable-module-command": "no",
        "enable-protected-configs": "no",
        "user": f"default reset on #{digest} ~* -@all {allowed}",
    }
    return "".join(f"{name} {value}\n" for name, value in directives.items())


def _quoted(path: Path) -> str:
    """A path as the server's configuration takes it, whatever bytes are in it."""
    plain = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._- ")
    return '"' + "".join(chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in os.fsencode(path)) + '"'
