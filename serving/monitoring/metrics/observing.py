"""Observations of histograms, queued on the way of a request and written afterwards."""

import threading
from collections import defaultdict, deque
from functools import cache

from serving.monitoring.metrics.declaring import ManyAtOnce

MOST_WAITING = 20_000
"""Longest queue of observations; a process without a flushing thread then flushes itself."""
_waiting: deque[tuple[ManyAtOnce, float]] = deque()
_flushing = threading.Lock()


@cache
def timer(metric: ManyAtOnce, *labels: str) -> ManyAtOnce:
    """Return the part of a histogram for some labels; looked up once, since that costs more than all else here."""
    return metric.labels(*labels)


def observe(part: ManyAtOnce, amount: float) -> None:
    """Queue an observation."""
    _waiting.append((part, amount))
    if len(_waiting) >= MOST_WAITING:
        flush()


def flush() -> None:
    """Write what waits."""
    amounts: defaultdict[ManyAtOnce, list[float]] = defaultdict(list)
    with _flushing:
        for _ in range(len(_waiting)):
            part, amount = _waiting.popleft()
            amounts[part].append(amount)
        for part, together in amounts.items():
            part.observe_all(together)
