"""Keyring: looks API keys up by the key that a client sends; follows the key file on disk."""

import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from lake.errors import ConfigError
from lake.settings import Settings
from serving.access import keys
from serving.access.watched import Watched
from serving.api import Caller

logger = logging.getLogger("quantlake.access")

NOTE_SECONDS = 60.0
"""How often the time of a key's last use is written down."""


@dataclass(frozen=True)
class _Open:
    """Callers by the digest of their key, and by its id; of keys that are not revoked."""

    by_digest: dict[str, Caller]
    by_id: dict[str, Caller]


class KeyRing:
    """Checks API keys. Safe for threads.

    A key is found by the hash of all its text, so how long that takes tells nothing about a key.

    Parameters
    ----------
    settings
        Say in which home the keys are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = Watched(keys.keys_path(settings), _opened)
        self._used: dict[str, datetime] = {}
        self._note_at = 0.0

    def find(self, text: str) -> Caller | None:
        """Return who shows this key; None where it is unknown, revoked or at its end."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        caller = self._file.value().by_digest.get(digest) or self._file.fresh().by_digest.get(digest)
        if caller is None or time.time() >= caller.expires_at:
            return None
        self._note(caller.key_id)
        return caller

    def of_id(self, key_id: str) -> Caller | None:
        """Return who holds the key of that id; None where it is unknown, revoked or at its end."""
        caller = self._file.value().by_id.get(key_id) or self._file.fresh().by_id.get(key_id)
        return None if caller is None or time.time() >= caller.expires_at else caller

    def _note(self, key_id: str) -> None:
        """Remember that a key was used; once a minute a thread writes it down, so no request waits for the disk."""
        self._used[key_id] = datetime.now(UTC)
        now = time.monotonic()
        if now >= self._note_at:
            self._note_at = now + NOTE_SECONDS
            used, self._used = self._used, {}
            threading.Thread(target=self._write, args=(used,), name="key-use", daemon=True).start()

    def _write(self, used: dict[str, datetime]) -> None:
        try:
            keys.note_use(self._settings, used)
        except (OSError, ConfigError) as error:
            logger.warning("the time of the keys' last use was not written down: %s", error)


def _opened(text: str | None) -> _Open:
    try:
        in_force = [(key, key.caller()) for key in keys.parse(text) if key.revoked_at is None]
    except ConfigError as error:
        logger.error("nobody is let in: %s", error)  # noqa: TRY400 - one sentence, the traceback says no more
        in_force = []
    return _Open({key.digest: caller for key, caller in in_force}, {caller.key_id: caller for _, caller in in_force})
