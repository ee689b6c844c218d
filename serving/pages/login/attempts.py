"""Attempts to log in: a few a minute from one address."""

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPTS, WINDOW_SECONDS = 5, 60.0
ADDRESSES = 1_000
"""Addresses remembered at most; the one that tried longest ago is forgotten first."""


class Attempts:
    """Counts attempts by address. For one event loop.

    Parameters
    ----------
    now
        Monotonic seconds.

    Examples
    --------
    >>> attempts = Attempts(now=lambda: 0.0)
    >>> [attempts.allow("127.0.0.1") for _ in range(6)]
    [True, True, True, True, True, False]
    """

    def __init__(self, now: "Callable[[], float]" = time.monotonic) -> None:
        self._now = now
        self._at: dict[str, deque[float]] = {}

    def allow(self, address: str) -> bool:
        """Count one attempt, and say whether it may be made."""
        now = self._now()
        times = self._at.pop(address, deque())
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        is_allowed = len(times) < ATTEMPTS
        if is_allowed:
            times.append(now)
        self._at[address] = times
        if len(self._at) > ADDRESSES:
            del self._at[next(iter(self._at))]
        return is_allowed
