"""The newest forecast per symbol and horizon: Redis first, then the forecast log, then the Delta table.

Redis is a copy and never the truth: it is filled behind the forecast log, nothing waits for it, and it heals itself.
A value that is not sealed for its key, or older than one that this process has seen there, counts as not there.
A forecast takes the place of another only if it was made later, which the server checks, so that writers of several
processes cannot put an old one over a new one.
"""

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from redis.exceptions import RedisError

from feature_repo.online import PROJECT, CircuitBreaker, OnlineKey, TimedClient, deadline
from feature_repo.online.redis_server import connect, redis_url
from lake.errors import OnlineStoreError
from lake.store import Lake
from serving.forecast_log.connections import OpenLogs
from serving.forecast_log.log_files import LAST
from serving.forecast_log.stored_forecasts import newest_in_lake
from serving.forecasts import ANSWERED
from serving.monitoring import metrics

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from sqlite3 import Connection

    from lake.settings import Settings
    from serving.forecast_log.log_reading import LogReader
    from serving.forecast_log.writing import ForecastLog, LogEntry

logger = logging.getLogger("quantlake.serving")

Source = Literal["cache", "log", "table"]
Key = tuple[str, int]

VERSION = 2
"""Of what a value holds; another version has other keys, so that no process reads what it does not understand."""
DIGITS = 17
CHUNK = 500
CHECK_SECONDS = 1.0
RETRY_SECONDS = 0.2
GATHER_SECONDS = 0.05
WRITE_SECONDS = 2.0
OTHERS_SECONDS = 5.0
"""How often the files of other processes are looked at: one may have ended before Redis took what it had logged."""

KEEP_NEWEST = f"""
for n, key in ipairs(KEYS) do
    local held = redis.pcall('GETRANGE', key, 0, {DIGITS - 1})
    local at = type(held) == 'string' and tonumber(held)
    if n == #KEYS or not at or at < tonumber(string.sub(ARGV[n], 1, {DIGITS})) then
        redis.call('SET', key, ARGV[n])
    end
end
"""
"""Values of every key but the last begin with microseconds since 1970; the last key takes the writer's mark.

What holds no such number, or no text at all, gives way.
"""
DROP = "if redis.pcall('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
"""Removes a value that does not verify, and no other that has taken its place since."""

_NEWEST = """
SELECT symbol, horizon_sessions, made_at, answer FROM logged WHERE made_at IS NOT NULL AND sequence IN (
    SELECT max(sequence) FROM forecasts {} kind <> 'shadow' AND is_in_lake <> 2 GROUP BY symbol, horizon_sessions
)
"""
NEWEST_LOGGED = _NEWEST.format("WHERE")
NEWEST_SINCE = _NEWEST.format("NOT INDEXED WHERE sequence > ? AND")
"""The index is for the whole file; of what is new the forecasts themselves are read."""


@dataclass(frozen=True)
class NewestForecast:
    """One stored forecast as JSON, and what answered with it."""

    answer: str
    source: Source


class LatestForecasts:
    """Reads the newest stored forecasts; once started, also writes logged forecasts to Redis.

    Parameters
    ----------
    configured
        Say where Redis, log and lake are, and how long Redis may take.
    logged
        Reader of the forecast log.
    """

    def __init__(self, configured: "Settings", logged: "LogReader") -> None:
        self._configured, self._logged = configured, logged
        self.lake = Lake(configured.tables)
        self._timeout = configured.online_timeout_ms / 1e3
        self._reader = TimedClient(redis_url(configured), self._timeout)
        self._breaker = CircuitBreaker()
        self._pending: dict[Key, bytes] = {}
        self._seen: dict[Key, int] = {}
        self._strange: dict[str, bytes] = {}
        self._secret: OnlineKey | None = None
        self._lock = threading.Lock()
        self._wake, self._ended = threading.Event(), threading.Event()
        self._writer: threading.Thread | None = None
        self._mark_key = f"{{{PROJECT}}}#latest"
        self._mark: bytes | None = b"never written"
        self._own: Path | None = None
        self._files = OpenLogs(configured)
        self._read_up_to: dict[Path, int] = {}
        self._others_at = 0.0

    def start(self, log: "ForecastLog") -> None:
        """Start a thread that writes logged forecasts of this process to Redis, until `close`."""
        log.on_commit = self.note
        self._own = log.path
        self._mark_key = f"{{{PROJECT}}}#latest:{log.path.name}"
        self._writer = threading.Thread(target=self._run, name="latest-forecasts", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Hand over what waits if Redis takes it, and end the thread and the connections."""
        self._ended.set()
        self._wake.set()
        if self._writer is not None:
            self._writer.join()
        self._reader.close()

    def note(self, entries: "Sequence[LogEntry]") -> None:
        """Queue logged forecasts for Redis, a challenger's excepted. Never waits for Redis."""
        for entry in entries:
            row = entry.row
            if row["kind"] in ANSWERED:
                self._put((row["symbol"], row["horizon_sessions"]), packed(row["made_at"], entry.answer))
        self._wake.set()

    def newest(self, symbol: str, horizon: int) -> NewestForecast | None:
        """Return the newest stored forecast, None if there is none.

        What waits to be written to Redis counts first, then what Redis says. Without an answer of Redis the log is
        asked, then the table `forecasts`.
        """
        key = (symbol, horizon)
        waiting = self._pending.get(key)
        found = self._cached(key) if waiting is None else NewestForecast(waiting[DIGITS:].decode(), "cache")
        found = found or self._logged_newest(key) or self._stored(key)
        if found is not None:
            metrics.LATEST.labels(found.source).inc()
        return found

    def heal(self) -> None:
        """Hand the newest forecast of every symbol and horizon in the log to Redis: it lost some, or never had them."""
        self._read_up_to.clear()
        for path, connection in self._files.current().items():
            self._gather(path, connection)

    def _take_over(self) -> None:
        """Queue forecasts that other processes logged since the last poll; those already in Redis change nothing."""
        if (now := time.monotonic()) < self._others_at:
            return
        self._others_at = now + OTHERS_SECONDS
        for path, connection in self._files.current().items():
            if path != self._own:
                self._gather(path, connection)

    def _gather(self, path: "Path", connection: "Connection") -> None:
        """Queue the newest forecasts of a file that were not read before."""
        last = connection.execute(LAST).fetchone()[0]
        since = self._read_up_to.get(path, 0)
        if since == last:
            return
        is_known = 0 < since < last  # a file that was made anew begins anew
        query, bound = (NEWEST_SINCE, (since,)) if is_known else (NEWEST_LOGGED, ())
        for symbol, horizon, made_at, answer in connection.execute(query, bound):
            self._put((symbol, horizon), packed(made_at, answer))
        self._read_up_to[path] = last

    def _cached(self, key: Key) -> NewestForecast | None:
        if not self._breaker.may_try():
            return None
        try:
            with deadline(self._timeout):
                (held,) = self._reader.mget([name := key_of(key)])
        except (RedisError, OSError):
            self._breaker.failed()
            return None
        self._breaker.succeeded()
        return None if held is None else self._verified(key, name, held)

    def _verified(self, key: Key, name: str, held: bytes) -> NewestForecast | None:
        """Value in Redis; None if its seal is of another key, or if it is older than one seen by this process."""
        try:
            content = self._sealing().content(name, held) or self._sealing(anew=True).content(name, held)
        except OnlineStoreError:  # the key file is damaged, which whoever reads the online store says
            content = None
        if content is None or int(content[:DIGITS]) < self._seen.get(key, 0):
            metrics.ONLINE_UNVERIFIED.labels("latest").inc()
            if self._writer is not None:
                self._strange[name] = held
            return None
        self._seen[key] = int(content[:DIGITS])
        return NewestForecast(content[DIGITS:].decode(), "cache")

    def _sealing(self, *, anew: bool = False) -> OnlineKey:
        """The key of the seals, read again where something does not verify: it may have been replaced."""
        if self._secret is None or anew:
            self._secret = OnlineKey.of(self._configured)
        return self._secret

    def _logged_newest(self, key: Key) -> NewestForecast | None:
        found = self._logged.newest(*key)
        if found is None:
            return None
        self._put(key, packed(found.made_at, found.answer))
        return NewestForecast(found.answer, "log")

    def _stored(self, key: Key) -> NewestForecast | None:
        found = newest_in_lake(self.lake, *key)
        if found is None:
            return None
        answer = found.model_dump_json()
        self._put(key, packed(found.made_at, answer))
        return NewestForecast(answer, "table")

    def _put(self, key: Key, value: bytes) -> None:
        """Queue a value, unless a later one is queued; dropped without a writer."""
        self._seen[key] = max(int(value[:DIGITS]), self._seen.get(key, 0))
        if self._writer is None:
            return
        with self._lock:
            waiting = self._pending.get(key)
            if waiting is None or waiting[:DIGITS] < value[:DIGITS]:
                self._pending[key] = value

    def _run(self) -> None:
        with closing(connect(redis_url(self._configured), WRITE_SECONDS)) as client:
            is_last = False
            while not is_last:
                self._wake.wait(self._tend(client))
                self._wake.clear()
                is_last = self._ended.wait(GATHER_SECONDS)  # what is logged meanwhile goes with it
            self._tend(client)
        self._files.close()

    def _tend(self, client: Any) -> float:
        """Write what waits, and everything if Redis is not as this process left it; how long to rest then."""
        try:
            if client.mget([self._mark_key]) != [self._mark]:  # unlike GET it takes another type for nothing
                self._mark = None
                self.heal()
            self._take_over()
            self._write_all(client)
        except (RedisError, OSError, OnlineStoreError):
            metrics.LATEST_FAILURES.inc()
            return RETRY_SECONDS
        except Exception:
            metrics.LATEST_FAILURES.inc()
            logger.exception("the newest forecasts could not be handed to Redis; it is tried again")
        return CHECK_SECONDS

    def _write_all(self, client: Any) -> None:
        """Write what waits, a chunk at a time; each stays until Redis has it."""
        while self._strange:
            name, value = self._strange.popitem()
            client.eval(DROP, 1, name, value)
        with self._lock:
            waiting = dict(self._pending)
        secret = self._sealing()
        for chunk in _chunks(waiting) if waiting or self._mark is None else ():
            mark = uuid.uuid4().hex.encode()
            keys = [*map(key_of, chunk), self._mark_key]
            sealed = [secret.seal(name, value) for name, value in zip(keys, chunk.values(), strict=False)]
            client.eval(KEEP_NEWEST, len(keys), *keys, *sealed, mark)
            self._mark = mark
            metrics.LATEST_WRITTEN.inc(len(chunk))
            with self._lock:
                for key, value in chunk.items():
                    if self._pending.get(key) is value:
                        del self._pending[key]


def key_of(key: Key) -> str:
    """Key in Redis; the braces keep a project on one node of a cluster."""
    symbol, horizon = key
    return f"{{{PROJECT}}}:latest:{VERSION}:{symbol}:{horizon}"


def packed(made_at: "datetime | str", answer: str) -> bytes:
    """When it was made, in microseconds since 1970, then the answer; in Redis it is followed by its seal."""
    from datetime import datetime

    at = datetime.fromisoformat(made_at) if isinstance(made_at, str) else made_at
    return f"{round(at.timestamp() * 1e6):0{DIGITS}d}{answer}".encode()


def _chunks(values: Mapping[Key, bytes]) -> Iterator[dict[Key, bytes]]:
    """Parts of at most `CHUNK` values; one empty part where there is none."""
    left = iter(values.items())
    while part := dict(islice(left, CHUNK)):
        yield part
    if not values:
        yield {}
