"""One-time codes: a link that the terminal shows logs one browser in, within a minute.

A code is a file of the home that only its owner may read, so whoever can make one can read the home's own key anyway.
The file holds the SHA-256 of the newest code; taking a code removes it, in whichever process that happens.
"""

import hashlib
import hmac
import json
import secrets
import time
from typing import TYPE_CHECKING

from lake.disk import file_lock, read_key_file, write_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lake.settings import Settings

CODE_SECONDS = 60.0
"""How long a code can be used."""
REMEDY = "Delete it: the next start of the dashboard makes a new code."


def issue_code(settings: "Settings", now: "Callable[[], float]" = time.time) -> str:
    """Return a new code; an earlier one that was not used opens nothing from now on."""
    code = secrets.token_urlsafe(32)
    record = {"digest": _digest(code), "expires_at": now() + CODE_SECONDS}
    with file_lock(_lock(settings), "The dashboard's login code"):
        write_private(code_path(settings), json.dumps(record) + "\n")
    return code


def take_code(settings: "Settings", shown: str, now: "Callable[[], float]" = time.time) -> bool:
    """Use a code up; whether it was the newest one, not used before, and not older than `CODE_SECONDS`.

    Raises
    ------
    ConfigError
        If others may read the file of the code.
    """
    path = code_path(settings)
    with file_lock(_lock(settings), "The dashboard's login code"):
        try:
            record = json.loads(read_key_file(path, remedy=REMEDY))
        except FileNotFoundError:
            return False
        is_right = hmac.compare_digest(record["digest"], _digest(shown))
        if is_right:
            path.unlink()
    return is_right and now() < record["expires_at"]


def code_path(settings: "Settings") -> "Path":
    """File of the newest code that was not used."""
    return settings.home / "run" / "dashboard.code"


def _lock(settings: "Settings") -> "Path":
    folder = settings.home / "run"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / ".dashboard.code.lock"


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
