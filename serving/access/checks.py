"""Dependencies of the authentication middleware: keys, tokens, rate limits, and the audit trail."""

import time
from typing import TYPE_CHECKING, Any

from lake.store import Lake
from serving import audit
from serving.access.keyring import KeyRing
from serving.access.limits import LimitDecision, Limiter
from serving.access.tokens import TokenReader, issue
from serving.api import KEY_PREFIX

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.api import Caller


class Access:
    """Keys, tokens and limits of one home.

    Parameters
    ----------
    settings
        Say which home, and where Redis is.
    """

    def __init__(self, settings: "Settings") -> None:
        self._settings, self._lake = settings, Lake.open(settings)
        self._ring = KeyRing(settings)
        self._tokens = TokenReader(settings, self._ring)
        self._limiter = Limiter(settings)

    def find(self, shown: str) -> "Caller | None":
        """Return who shows a key or a token; None where it opens nothing."""
        return self._ring.find(shown) if shown.startswith(f"{KEY_PREFIX}_") else self._tokens.find(shown)

    def is_in_force(self, caller: "Caller") -> bool:
        """Whether the caller's key or token is still valid."""
        return time.time() < caller.expires_at and self._ring.of_id(caller.key_id) is not None

    async def count(self, caller: "Caller") -> LimitDecision:
        """Count one request of a caller."""
        return await self._limiter.count(caller)

    def issue(self, caller: "Caller") -> str:
        """Issue a token for a caller."""
        return issue(self._settings, caller)

    def key_set(self) -> dict[str, Any]:
        """Public keys that tokens are checked with."""
        return self._tokens.key_set()

    def record(self, caller: "Caller", method: str, path: str, status: int) -> None:
        """Record a caller's use of an operator route, and its result, in the audit trail."""
        details = {"method": method, "path": path, "role": caller.role, "via": caller.via}
        audit.record(self._lake, who=caller.who, what="operator.request", result=str(status), details=details)
