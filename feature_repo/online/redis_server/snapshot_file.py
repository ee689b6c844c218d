"""The snapshot that the server reads back at its start: whether it is whole, and what becomes of one that is not."""

import logging
import subprocess
from pathlib import Path

from feature_repo.online.redis_server.paths import ServerPaths

logger = logging.getLogger("quantlake.online")

CHECK_SECONDS = 60.0
CHECKER = "redis-check-rdb"
"""Called by this name, the server's binary checks a snapshot and ends, Redis and Valkey alike."""
HEADS = (b"REDIS", b"VALKEY")
TAIL = 9
"""Bytes of the end mark and the checksum."""


def what_is_wrong(snapshot: Path, binary: Path) -> str:
    """Return why a server cannot read a snapshot, checksum and all; empty for one that it can read."""
    try:
        with snapshot.open("rb") as file:
            head = file.read(len(HEADS[1]))
            size = snapshot.stat().st_size
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if not head.startswith(HEADS) or size <= len(HEADS[0]) + TAIL:
        return f"it is no snapshot: {size} bytes that begin with {head!r}"
    try:
        checked = subprocess.run(
            [CHECKER, snapshot],
            executable=binary,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHECK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it cannot be checked: {error}"
    if checked.returncode == 0:
        return ""
    lines = [line.strip() for line in (checked.stdout + checked.stderr).splitlines() if "---" not in line and line]
    return next((line for line in lines if "error" in line.lower() or "wrong" in line.lower()), f"{lines[-1:]}")


def set_aside_if_damaged(binary: Path, places: ServerPaths) -> None:
    """Move a snapshot away that the server would refuse to start with; the store is then filled from the tables."""
    if not places.snapshot.exists():
        return
    problem = what_is_wrong(places.snapshot, binary)
    if problem:
        places.snapshot.replace(places.damaged)
        logger.warning(
            "the online store's snapshot %s is damaged (%s); it was moved to %s, and the server starts empty and is "
            "filled from the tables",
            places.snapshot,
            problem,
            places.damaged,
        )
