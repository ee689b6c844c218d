"""How often a key may ask: counted in Redis over the last hour, to the request, or in this process without it.

The window moves with the clock (a log of times, no buckets), so a key of a hundred an hour gets a hundred answers in
any hour one may choose. Counting is the package ``limits``'; the deadline and what happens without Redis are ours.
"""

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Any, Literal

from limits import RateLimitItemPerHour
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from feature_repo.breaker import Breaker
from feature_repo.redis_server import credentials_of, redis_url
from lake.settings import Settings
from serving.access.callers import REQUESTS_AN_HOUR, Caller
from serving.monitoring import metrics

PREFIX = "quantlake:limits"
Counted = Literal["shared", "local", "none"]
Headers = list[tuple[bytes, bytes]]
UNLIMITED: Headers = [
    (b"ratelimit-limit", b"unlimited"),
    (b"ratelimit-remaining", b"unlimited"),
    (b"ratelimit-reset", b"0"),
]
NOTHING_ALLOWED: Headers = [(b"ratelimit-limit", b"0"), (b"ratelimit-remaining", b"0"), (b"ratelimit-reset", b"0")]


@dataclass(frozen=True)
class Verdict:
    """What the limiter says about one request.

    Parameters
    ----------
    is_allowed
        Whether it may go on.
    counted
        Where it was counted: in Redis for all workers, in this one alone, or nowhere.
    headers
        What the answer says about it.
    retry_seconds
        After how long the next request would be allowed.
    """

    is_allowed: bool
    counted: Counted
    headers: Headers
    retry_seconds: int = 0


FREE_TO_ASK = Verdict(is_allowed=True, counted="none", headers=UNLIMITED)
NOT_COUNTED = Verdict(is_allowed=False, counted="none", headers=[*NOTHING_ALLOWED, (b"ratelimit-scope", b"none")])
"""Redis is away, and the caller may do what nobody should do uncounted."""


class Limiter:
    """Counts the requests of each key. For one event loop at a time.

    Parameters
    ----------
    settings
        Say where Redis is and, in `limit_timeout_ms`, how long a request may wait for it.
    """

    def __init__(self, settings: Settings) -> None:
        self._url, self._seconds = redis_url(settings), settings.limit_timeout_ms / 1e3
        self._breaker = Breaker()
        self._items = {tier: RateLimitItemPerHour(n) for tier, n in REQUESTS_AN_HOUR.items() if n is not None}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: Any = None

    async def count(self, caller: Caller) -> Verdict:
        """Count one request and say whether it may go on; never slower than the deadline by more than a blink."""
        item = self._items.get(caller.tier)
        if item is None:
            return FREE_TO_ASK
        verdict = await self._count(caller, item)
        metrics.LIMITED.labels("refused" if verdict.counted == "none" else verdict.counted).inc()
        return verdict

    async def _count(self, caller: Caller, item: RateLimitItemPerHour) -> Verdict:
        self._open()
        if self._breaker.may_try():
            try:
                async with asyncio.timeout(self._seconds):
                    verdict = await _hit(self._shared, item, caller.who, "shared")
            except (RedisError, OSError):  # a TimeoutError is an OSError
                self._breaker.failed()
            else:
                self._breaker.succeeded()
                return verdict
        if caller.role == "operator":
            return NOT_COUNTED
        return await _hit(self._local, item, caller.who, "local")

    async def close(self) -> None:
        """End the connections."""
        if self._loop is not None:
            await self._pool.aclose()
            self._loop = None

    def _open(self) -> None:
        """Connect; connections belong to the loop they were opened in."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._pool = ConnectionPool.from_url(
            self._url,
            credential_provider=credentials_of(self._url),
            socket_timeout=self._seconds,
            socket_connect_timeout=self._seconds,
            retry=Retry(NoBackoff(), 0),
        )
        storage = RedisStorage(
            "async+redis://", implementation="redispy", key_prefix=PREFIX, connection_pool=self._pool
        )
        self._shared = MovingWindowRateLimiter(storage)
        self._local = MovingWindowRateLimiter(MemoryStorage())
        self._loop = loop


async def _hit(
    limiter: MovingWindowRateLimiter, item: RateLimitItemPerHour, who: str, counted: Literal["shared", "local"]
) -> Verdict:
    is_allowed = await limiter.hit(item, who)
    reset, remaining = await limiter.get_window_stats(item, who)
    seconds = max(1, math.ceil(reset - time.time()))
    headers = [
        (b"ratelimit-limit", b"%d" % item.amount),
        (b"ratelimit-remaining", b"%d" % max(0, remaining)),
        (b"ratelimit-reset", b"%d" % seconds),
        (b"ratelimit-scope", counted.encode()),
    ]
    return Verdict(is_allowed, counted, headers, 0 if is_allowed else seconds)
