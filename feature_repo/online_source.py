"""Where packed rows come from: Redis within a deadline, or else the snapshot in memory. It always says which."""

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from feature_repo.breaker import Breaker
from feature_repo.deadlines import TimedClient, deadline
from feature_repo.generations import Generation, Index, generation_key, index_key, row_key
from feature_repo.online_views import OnlineView
from feature_repo.packing import Words
from feature_repo.redis_server import redis_url
from feature_repo.snapshot import Loaded, Snapshot
from lake.errors import NotReadyError, OnlineStoreError
from lake.settings import Settings

Source = Literal["redis", "snapshot"]
Values = list[bytes | None]
Asked = Sequence[tuple[OnlineView, Sequence[str]]]
SYMBOLS_PER_DEADLINE = 500
"""A read of more takes longer in proportion, and so may wait longer."""


@dataclass(frozen=True)
class Part:
    """Packed rows of one view.

    Parameters
    ----------
    values
        The row of each entity asked for; None where it has none.
    held
        Those that are there.
    words
        Headers of these, see `feature_repo.packing.Layout.checked`.
    """

    values: Values
    held: list[bytes]
    words: Words

    @property
    def event(self) -> Words:
        """Event times of the rows that are there, microseconds since 1970."""
        return self.words[:, 2]

    @property
    def known(self) -> Words:
        """Known times of the rows that are there."""
        return self.words[:, 3]


@dataclass(frozen=True)
class Fetched:
    """Packed rows of several views from one source and one generation.

    Parameters
    ----------
    parts
        One per view asked for.
    source
        Who answered.
    reason
        Why Redis did not; empty when it did.
    generation
        What was said when these rows were written, or loaded by the snapshot.
    """

    parts: list[Part]
    source: Source
    reason: str
    generation: Generation


class _Unusable(Exception):  # noqa: N818 - no error: a reason to ask the snapshot
    """Redis answered, and its answer must not be served."""


class OnlineSource:
    """Packed rows of the views. Safe for threads.

    Parameters
    ----------
    settings
        Say where Redis is and, in `online_timeout_ms`, how long a read of up to 500 symbols may take.
    snapshot
        Answers when Redis does not; None to refuse instead.
    """

    def __init__(self, settings: Settings, snapshot: Snapshot | None = None) -> None:
        self._settings, self._snapshot = settings, snapshot
        self._client = TimedClient(redis_url(settings), settings.online_timeout_ms / 1e3)
        self._breaker = Breaker()
        self._prefixes: dict[str, str] = {}

    def fetch(self, asked: Asked) -> Fetched:
        """Read the rows of entities of several views with one question to one source.

        Raises
        ------
        OnlineStoreError
            If Redis gives no answer that can be served, and there is no snapshot, or it is not loaded yet.
        NotReadyError
            If nothing was ever materialised and there is no snapshot.
        """
        keys = [generation_key()]
        for view, names in asked:
            prefix = self._prefixes.get(view.name) or self._prefixes.setdefault(view.name, row_key(view.name, ""))
            keys += [prefix + name for name in names]
        # Looked at once, and before the question: it may be renewed at any time.
        loaded = self._snapshot.loaded if self._snapshot else None
        try:
            raw = self._ask(lambda: self._client.mget(keys), len(keys))
            self._require_current(raw[0], loaded)
            said = _parsed(raw[0])
            parts = self._parts(raw, keys, asked, loaded)
        except (_Unusable, OnlineStoreError) as problem:
            stand_in = self._loaded(problem)
            kept = [None, *map(stand_in.values.get, keys[1:])]
            return Fetched(self._parts(kept, keys, asked, None), "snapshot", str(problem), stand_in.said)
        return Fetched(parts, "redis", "", said)

    def names(self, view: OnlineView) -> list[str]:
        """Entities that have a row of a view, sorted; for the errors see `fetch`."""
        keys = [generation_key(), index_key(view.name)]
        loaded = self._snapshot.loaded if self._snapshot else None
        try:
            raw = self._ask(lambda: self._client.mget(keys), len(keys))
            self._require_current(raw[0], loaded)
        except (_Unusable, OnlineStoreError) as problem:
            return sorted(self._loaded(problem).names.get(view.name, []))
        return sorted(Index.from_bytes(raw[1]).names)

    def close(self) -> None:
        """End the snapshot's thread and the connections."""
        if self._snapshot:
            self._snapshot.close()
        self._client.close()

    def _ask(self, question: Any, size: int) -> Any:
        """Ask Redis, unless it has failed again and again just now."""
        if not self._breaker.may_try():
            raise self._advice("has failed again and again and is left alone for a moment")
        started = time.monotonic()
        try:
            with deadline(self._settings.online_timeout_ms / 1e3 * max(1.0, size / SYMBOLS_PER_DEADLINE)):
                raw = question()
        except (RedisError, OSError) as error:
            self._breaker.failed()
            raise self._refusal(error, time.monotonic() - started) from error
        except BaseException:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return raw

    @staticmethod
    def _require_current(generation: bytes | None, loaded: Loaded | None) -> None:
        """Refuse an empty server, and one that came back from an old copy of itself."""
        if generation is None:
            raise _Unusable("Redis is empty: it has lost what was materialised, or nothing has been yet")
        newest = loaded.generation.number if loaded and loaded.generation else 0
        if _parsed(generation).number < newest:
            raise _Unusable("Redis has fallen back behind the last materialisation")

    def _parts(self, raw: Values, keys: Sequence[str], asked: Asked, loaded: Loaded | None) -> list[Part]:
        """Part one flat answer by view, and refuse rows of other columns and gaps that what is loaded does not have."""
        parts, at = [], 1
        for view, names in asked:
            values = raw[at : at + len(names)]
            held = [value for value in values if value is not None]
            if loaded and len(held) < len(values):
                gaps = [key for key, value in zip(keys[at:], values, strict=False) if value is None]
                self._require_missing(view, gaps, loaded)
            words = view.layout.checked(held)
            if words is None:
                raise _Unusable(f"Redis holds rows of view '{view.name}' in another layout")
            parts.append(Part(values, held, words))
            at += len(names)
        return parts

    @staticmethod
    def _require_missing(view: OnlineView, keys: Sequence[str], loaded: Loaded) -> None:
        if any(key in loaded.values for key in keys):
            raise _Unusable(f"Redis lacks a row of view '{view.name}' that the tables have")

    def _loaded(self, problem: Exception) -> Loaded:
        """What the snapshot holds, or the problem if there is none to stand in."""
        loaded = self._snapshot.loaded if self._snapshot else None
        if loaded is not None:
            return loaded
        if isinstance(problem, OnlineStoreError):
            raise problem
        if self._snapshot is None:
            raise NotReadyError(f"{problem}. Materialise the features with `make demo`.") from problem
        state = self._snapshot.problem or "the snapshot of the tables is still loading"
        raise OnlineStoreError(f"{problem}, and nothing stands in for it: {state}. Ask again in a second.") from problem

    def _refusal(self, problem: Exception, seconds: float) -> OnlineStoreError:
        limit, spent = self._settings.online_timeout_ms, f"{seconds * 1e3:.0f} ms"
        reason = str(problem).rstrip(".")
        if _is_of(problem, ConnectionRefusedError):
            what = f"refused the connection: no server runs there ({reason})"
        elif _is_of(problem, TimeoutError) or _is_of(problem, RedisTimeoutError):
            what = f"did not answer within {limit} ms, given up after {spent}: {reason}"
        else:
            what = f"failed after {spent}: {reason}"
        return self._advice(what)

    def _advice(self, what: str) -> OnlineStoreError:
        where = "REDIS_URL" if self._settings.redis_url else f"port {self._settings.redis_port}"
        return OnlineStoreError(
            f"The online store at {where} {what}. Start it with `make serve`, set REDIS_URL to a server that runs, or "
            "QUANTLAKE_ONLINE_TIMEOUT_MS to a longer wait."
        )


@lru_cache(maxsize=4)
def _parsed(raw: bytes) -> Generation:
    """What a generation says of itself, parsed once for all the reads that are answered from it."""
    try:
        return Generation.from_bytes(raw)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise _Unusable("Redis holds a generation in another layout") from error


def _is_of(problem: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether an error, or one that it came from, is of a kind."""
    while problem is not None and not isinstance(problem, kind):
        problem = problem.__cause__ or problem.__context__
    return problem is not None
