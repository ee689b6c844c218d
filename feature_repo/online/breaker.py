"""A circuit breaker: after repeated failures calls are skipped for a pause, then one caller tries.

Small and our own: the packages that exist either wrap every call in a listener machinery that costs more than the read
itself, or let every caller try at once when the pause is over.
"""

import threading
import time
from collections.abc import Callable


class CircuitBreaker:
    """Counts failures in a row and decides who may try. Safe for threads.

    Parameters
    ----------
    failures
        Failures in a row that open the breaker.
    pause_seconds
        Time without a try while it is open; then one caller tries, and closes it or begins the next pause.
    clock
        Seconds that only grow.

    Examples
    --------
    >>> now = [0.0]
    >>> breaker = CircuitBreaker(failures=1, pause_seconds=5.0, clock=lambda: now[0])
    >>> breaker.failed()
    >>> breaker.may_try()
    False
    >>> now[0] = 5.0
    >>> breaker.may_try(), breaker.may_try()  # one caller tries
    (True, False)
    """

    def __init__(
        self, failures: int = 3, pause_seconds: float = 0.2, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._allowed, self._pause, self._clock = failures, pause_seconds, clock
        self._lock = threading.Lock()
        self._failed, self._next_try = 0, 0.0

    @property
    def is_open(self) -> bool:
        """Whether callers are kept away, but for the one that tries."""
        return self._failed >= self._allowed

    def may_try(self) -> bool:
        """Whether this caller may try now; it must say afterwards how it went."""
        if not self.is_open:
            return True
        with self._lock:
            now = self._clock()
            if now < self._next_try:
                return False
            self._next_try = now + self._pause
            return True

    def succeeded(self) -> None:
        """The try worked: everyone may try again."""
        if self._failed:
            with self._lock:
                self._failed = 0

    def failed(self) -> None:
        """The try did not work."""
        with self._lock:
            self._failed += 1
            self._next_try = self._clock() + self._pause
