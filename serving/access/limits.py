"""Rate limits: accepted requests per key in any sixty minutes, over all workers.

Each request is counted twice. The ledger of the home (`serving.access.ledger`) is exact for every worker of this home
and does not depend on Redis; Redis adds what other homes with the same keys have accepted. A request is accepted only
if both agree, or, while Redis does not answer in time, if the ledger has room beside what Redis knew last. What Redis
missed is sent with the next request of the key, under the same ids, so a hit whose answer came too late counts once.
"""

import asyncio
import logging
import math
import secrets
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from feature_repo.online import CircuitBreaker
from feature_repo.online.redis_server import credentials_of, redis_url
from lake.settings import Settings
from serving.access.ledger import WINDOW_SECONDS, LedgerError, RequestLedger, Taken
from serving.api import REQUESTS_AN_HOUR, Caller
from serving.monitoring import metrics

logger = logging.getLogger("quantlake.access")

PREFIX = "quantlake:limits"
SCRIPT = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
for i = 5, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i])
end
local allowed = 0
if redis.call('ZSCORE', KEYS[1], ARGV[3]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[3])
  allowed = 1
end
redis.call('EXPIRE', KEYS[1], 3600)
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {allowed, redis.call('ZCARD', KEYS[1]), oldest[2] or ARGV[4]}
"""
"""Arguments: beginning of the window, limit, id and time of this hit, then ids and times of those that were missed."""
ID_BITS = 63
Counted = Literal["shared", "local", "none"]
Headers = list[tuple[bytes, bytes]]
UNLIMITED: Headers = [
    (b"ratelimit-limit", b"unlimited"),
    (b"ratelimit-remaining", b"unlimited"),
    (b"ratelimit-reset", b"0"),
]
NOTHING_ALLOWED: Headers = [(b"ratelimit-limit", b"0"), (b"ratelimit-remaining", b"0"), (b"ratelimit-reset", b"0")]


@dataclass(frozen=True)
class LimitDecision:
    """Decision of the limiter about one request.

    Parameters
    ----------
    is_allowed
        Whether it may go on.
    counted
        Where it was counted: in Redis for all homes, in the ledger of this home alone, or nowhere.
    headers
        What the answer says about it.
    retry_seconds
        After how long the next request would be allowed.
    """

    is_allowed: bool
    counted: Counted
    headers: Headers
    retry_seconds: int = 0


FREE_TO_ASK = LimitDecision(is_allowed=True, counted="none", headers=UNLIMITED)
NOT_COUNTED = LimitDecision(is_allowed=False, counted="none", headers=[*NOTHING_ALLOWED, (b"ratelimit-scope", b"none")])
"""Redis is away, and the caller may do what nobody should do uncounted; or the ledger cannot be written."""


class _Shared(NamedTuple):
    """Answer of Redis about one request: accepted or not, requests of the hour, and the time of the oldest."""

    is_allowed: bool
    used: int
    oldest: float


class Limiter:
    """Counts the requests of each key. For one event loop at a time.

    Parameters
    ----------
    settings
        Say where Redis and the ledger are and, in `limit_timeout_ms`, how long a request may wait for either.
    """

    def __init__(self, settings: Settings) -> None:
        self._url, self._seconds = redis_url(settings), settings.limit_timeout_ms / 1e3
        self._breaker = CircuitBreaker()
        self._ledger = RequestLedger(settings)
        self._missed: dict[str, dict[int, float]] = defaultdict(dict)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: Any = None

    async def count(self, caller: Caller) -> LimitDecision:
        """Count one request and say whether it may go on; never slower than the deadline by more than a blink."""
        limit = REQUESTS_AN_HOUR[caller.tier]
        if limit is None:
            return FREE_TO_ASK
        verdict = await self._count(caller, limit)
        metrics.LIMITED.labels("refused" if verdict.counted == "none" else verdict.counted).inc()
        return verdict

    async def close(self) -> None:
        """End the connections."""
        self._ledger.close()
        if self._loop is not None:
            with suppress(RedisError):  # one that does not close within the deadline ends with the process
                await self._pool.aclose()
            self._loop = None

    async def _count(self, caller: Caller, limit: int) -> LimitDecision:
        who, hit, now = caller.who, secrets.randbits(ID_BITS), time.time()
        try:
            taken = self._ledger.take(who, hit, limit, now)
        except LedgerError as error:
            logger.warning("a request cannot be counted in the ledger of the home, so it is refused: %s", error)
            return NOT_COUNTED
        if not taken.is_allowed:
            return _verdict(limit, limit, taken.oldest, "local" if self._breaker.is_open else "shared")
        shared = await self._ask_redis(who, hit, limit, now)
        if shared is not None:
            return self._with_redis(who, hit, limit, taken, shared)
        return self._without_redis(caller, hit, limit, taken, now)

    def _with_redis(self, who: str, hit: int, limit: int, taken: Taken, shared: _Shared) -> LimitDecision:
        """Accept what Redis accepts too, and keep in mind what it counted of other homes."""
        if not shared.is_allowed:
            self._ledger.withdraw(hit)
        if shared.used > taken.used or taken.elsewhere:
            self._ledger.learn(who, shared.used, time.time())
        used = max(shared.used, taken.used) if shared.is_allowed else limit
        return _verdict(limit, used, shared.oldest, "shared", is_allowed=shared.is_allowed)

    def _without_redis(self, caller: Caller, hit: int, limit: int, taken: Taken, now: float) -> LimitDecision:
        """Accept what the ledger has room for beside what Redis knew last; operators need Redis."""
        used = taken.used + taken.elsewhere
        if caller.role == "operator" or used > limit:
            self._ledger.withdraw(hit)
            return NOT_COUNTED if caller.role == "operator" else _verdict(limit, limit, taken.oldest, "local")
        self._missed[caller.who][hit] = now
        return _verdict(limit, used, taken.oldest, "local", is_allowed=True)

    async def _ask_redis(self, who: str, hit: int, limit: int, now: float) -> _Shared | None:
        """Count in Redis; None where it does not answer in time, whether or not it counted."""
        self._open()
        if not self._breaker.may_try():
            return None
        missed = {request: at for request, at in self._missed.get(who, {}).items() if at > now - WINDOW_SECONDS}
        backlog = [value for request, at in missed.items() for value in (request, repr(at))]
        try:
            async with asyncio.timeout(self._seconds):
                arguments = (repr(now - WINDOW_SECONDS), limit, hit, repr(now), *backlog)
                is_allowed, used, oldest = await self._script(keys=[f"{PREFIX}:hits:{who}"], args=arguments)
        except (RedisError, OSError):  # a TimeoutError is an OSError
            self._breaker.failed()
            return None
        self._breaker.succeeded()
        self._forget(who, missed, now)
        return _Shared(bool(is_allowed), int(used), float(oldest))

    def _forget(self, who: str, sent: dict[int, float], now: float) -> None:
        """Drop what Redis has now, and what no hour holds any more."""
        kept = self._missed.pop(who, {})
        kept = {hit: at for hit, at in kept.items() if hit not in sent and at > now - WINDOW_SECONDS}
        if kept:
            self._missed[who] = kept

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
        self._script = Redis(connection_pool=self._pool).register_script(SCRIPT)
        self._loop = loop


def _verdict(limit: int, used: int, oldest: float, counted: Counted, *, is_allowed: bool = False) -> LimitDecision:
    seconds = max(1, math.ceil(oldest + WINDOW_SECONDS - time.time()))
    headers = [
        (b"ratelimit-limit", b"%d" % limit),
        (b"ratelimit-remaining", b"%d" % max(0, limit - used)),
        (b"ratelimit-reset", b"%d" % seconds),
        (b"ratelimit-scope", counted.encode()),
    ]
    return LimitDecision(is_allowed, counted, headers, 0 if is_allowed else seconds)
