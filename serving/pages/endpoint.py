"""The endpoint as the person who is logged in asks it: a client per key, with a token that ends within the hour.

No key is kept here: the dashboard issues a token for the holder of the key, which opens what the key opens, is counted
against the same limit, and opens nothing once the key is revoked.
"""

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from serving.access import local_address, trusting
from serving.access.signing import TOKEN_SECONDS
from serving.client import Client
from serving.processes.sockets import require_own

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.access.checks import Access
    from serving.api import Caller

ANSWER_SECONDS = 5.0
"""Longest wait of a page for the endpoint; then the page shows what the tables hold, and says so."""
FRESH_SECONDS = TOKEN_SECONDS / 2
KEPT_CLIENTS = 100


class _Kept(NamedTuple):
    client: Client
    until: float


class Endpoint:
    """Clients of the endpoint of one home. Thread-safe.

    Parameters
    ----------
    settings
        Say where it listens.
    access
        Issues the tokens.
    """

    def __init__(self, settings: "Settings", access: "Access") -> None:
        self._settings, self._access = settings, access
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def of(self, caller: "Caller") -> Client:
        """Return a client that asks in a caller's name.

        Raises
        ------
        ConfigError
            If another user listens at the endpoint's address: no token is sent to them.
        """
        require_own(address := local_address(self._settings))
        now = time.monotonic()
        with self._lock:
            kept = self._kept.pop(caller.key_id, None)
            if kept is None or kept.until <= now:
                token = self._access.issue(caller)
                trusted = trusting(self._settings)
                client = Client(address, token, timeout_seconds=ANSWER_SECONDS, attempts=1, trusted=trusted)
                kept = _Kept(client, now + FRESH_SECONDS)
            self._kept[caller.key_id] = kept
            if len(self._kept) > KEPT_CLIENTS:
                del self._kept[next(iter(self._kept))]
        return kept.client

    def close(self) -> None:
        """End the connections."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for each in kept.values():
            each.client.close()
