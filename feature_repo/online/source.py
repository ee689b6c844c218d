"""Where packed rows come from: Redis within a deadline, or else the snapshot in memory. It always says which."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from feature_repo.online.breaker import CircuitBreaker
from feature_repo.online.deadlines import TimedClient, deadline
from feature_repo.online.degradation import Degradation, DegradationKind
from feature_repo.online.generations import Generation, generation_key, index_key, row_key
from feature_repo.online.packing import Words
from feature_repo.online.redis_server import ServerPaths, redis_url
from feature_repo.online.repair import NoObserver, Repairer, StoreObserver
from feature_repo.online.seals import OnlineKey
from feature_repo.online.snapshot import LoadedSnapshot, OnlineSnapshot
from feature_repo.online.verification import UnusableError, Values, Verification, ViewRequests
from feature_repo.online.views import OnlineView
from lake.errors import NotReadyError, OnlineStoreError
from lake.settings import Settings

Source = Literal["redis", "snapshot"]
SYMBOLS_PER_DEADLINE = 500
"""A read of more takes longer in proportion, and so may wait longer."""


@dataclass(frozen=True)
class ViewPart:
    """Packed rows of one view.

    Parameters
    ----------
    values
        The row of each entity asked for; None where it has none.
    held
        Those that are there.
    words
        Headers of these, see `feature_repo.online.packing.Layout.words`.
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
    degradation
        Why Redis did not; None when it did.
    generation
        The generation of these rows, as it was written or as the snapshot loaded it.
    """

    parts: list[ViewPart]
    source: Source
    degradation: Degradation | None
    generation: Generation


class UnreachableError(OnlineStoreError):
    """Redis gave no answer within the deadline, or was not asked."""

    def __init__(self, kind: DegradationKind, detail: str) -> None:
        super().__init__(detail)
        self.degradation = Degradation(kind, detail)


class PackedRowSource:
    """Packed rows of the views. Safe for threads.

    Parameters
    ----------
    settings
        Say where Redis is and, in `online_timeout_ms`, how long a read of up to 500 symbols may take.
    snapshot
        Answers when Redis does not, and repairs what Redis holds; None to refuse instead.
    notice
        Told of values that do not verify, and of repairs.
    """

    def __init__(
        self, settings: Settings, snapshot: OnlineSnapshot | None = None, notice: StoreObserver | None = None
    ) -> None:
        self._settings, self._snapshot, self._notice = settings, snapshot, notice or NoObserver()
        self._verification = Verification(lambda: OnlineKey.of(settings))
        self._repairer = Repairer(settings, snapshot, self._notice) if snapshot else None
        self._client = TimedClient(redis_url(settings), settings.online_timeout_ms / 1e3)
        self._breaker = CircuitBreaker()
        self._prefixes: dict[str, str] = {}

    def fetch(self, asked: ViewRequests) -> Fetched:
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
            generation = self._verification.require(keys, raw, asked, loaded)
            parts = self._parts(raw, keys, asked, loaded)
        except (UnusableError, OnlineStoreError) as problem:
            stand_in = self._stand_in(problem)
            kept = [None, *map(stand_in.values.get, keys[1:])]
            return Fetched(
                self._parts(kept, keys, asked, None), "snapshot", _degradation(problem), stand_in.as_generation
            )
        return Fetched(parts, "redis", None, generation)

    def names(self, view: OnlineView) -> list[str]:
        """Entities that have a row of a view, sorted; for the errors see `fetch`."""
        keys = [generation_key(), index_key(view.name)]
        loaded = self._snapshot.loaded if self._snapshot else None
        try:
            raw = self._ask(lambda: self._client.mget(keys), len(keys))
            index = self._verification.require_index(keys[1], raw, view, loaded)
        except (UnusableError, OnlineStoreError) as problem:
            return sorted(self._stand_in(problem).names.get(view.name, []))
        return sorted(index.names)

    def close(self) -> None:
        """End the threads of snapshot and repair, and the connections."""
        if self._repairer:
            self._repairer.close()
        if self._snapshot:
            self._snapshot.close()
        self._client.close()

    def _ask(self, question: Any, size: int) -> Any:
        """Ask Redis, unless it has failed again and again just now."""
        if not self._breaker.may_try():
            raise self._unreachable(
                DegradationKind.LEFT_ALONE, "has failed again and again and is left alone for a moment"
            )
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

    def _parts(
        self, raw: Values, keys: Sequence[str], asked: ViewRequests, loaded: LoadedSnapshot | None
    ) -> list[ViewPart]:
        """Part one flat answer by view, and refuse gaps that what is loaded does not have."""
        parts, at = [], 1
        for view, names in asked:
            values = raw[at : at + len(names)]
            held = [value for value in values if value is not None]
            if loaded and len(held) < len(values):
                gaps = [key for key, value in zip(keys[at:], values, strict=False) if value is None]
                self._require_missing(view, gaps, loaded)
            parts.append(ViewPart(values, held, view.layout.words(held)))
            at += len(names)
        return parts

    @staticmethod
    def _require_missing(view: OnlineView, keys: Sequence[str], loaded: LoadedSnapshot) -> None:
        if any(key in loaded.values for key in keys):
            raise UnusableError(
                DegradationKind.UNUSABLE, f"Redis lacks a row of view '{view.name}' that the tables have"
            )

    def _stand_in(self, problem: Exception) -> LoadedSnapshot:
        """What the snapshot holds, or the problem if there is none to stand in; what Redis holds wrong is repaired."""
        if isinstance(problem, UnusableError):
            for view, count in problem.views.items():
                self._notice.unverified(view, count)
            if self._repairer:
                self._repairer.request(problem.keys)
        loaded = self._snapshot.loaded if self._snapshot else None
        if loaded is not None:
            return loaded
        if isinstance(problem, OnlineStoreError):
            raise problem
        if self._snapshot is None:
            command = self._settings.declared_market.first_run
            raise NotReadyError(f"{problem}. Materialise the features with `{command}`.") from problem
        state = self._snapshot.problem or "the snapshot of the tables is still loading"
        raise OnlineStoreError(f"{problem}, and nothing stands in for it: {state}. Ask again in a second.") from problem

    def _refusal(self, problem: Exception, seconds: float) -> "UnreachableError":
        limit, spent = self._settings.online_timeout_ms, f"{seconds * 1e3:.0f} ms"
        reason = str(problem).rstrip(".")
        if _is_of(problem, (ConnectionRefusedError, FileNotFoundError)):
            kind, what = DegradationKind.REFUSED, f"refused the connection: no server runs there ({reason})"
        elif _is_of(problem, TimeoutError) or _is_of(problem, RedisTimeoutError):
            kind, what = DegradationKind.TIMEOUT, f"did not answer within {limit} ms, given up after {spent}: {reason}"
        else:
            kind, what = DegradationKind.FAILED, f"failed after {spent}: {reason}"
        return self._unreachable(kind, what)

    def _unreachable(self, kind: DegradationKind, what: str) -> "UnreachableError":
        where = "REDIS_URL" if self._settings.redis_url else str(ServerPaths.of(self._settings).socket)
        return UnreachableError(
            kind,
            f"The online store at {where} {what}. Start it with `make serve`, set REDIS_URL to a server that runs, or "
            "QUANTLAKE_ONLINE_TIMEOUT_MS to a longer wait.",
        )


def _degradation(problem: UnusableError | OnlineStoreError) -> Degradation:
    """Return why Redis did not answer; a key file that cannot be read leaves every answer unusable."""
    if isinstance(problem, UnusableError | UnreachableError):
        return problem.degradation
    return Degradation(DegradationKind.UNUSABLE, str(problem))


def _is_of(problem: BaseException | None, kind: type[BaseException] | tuple[type[BaseException], ...]) -> bool:
    """Whether an error, or one that it came from, is of a kind."""
    while problem is not None and not isinstance(problem, kind):
        problem = problem.__cause__ or problem.__context__
    return problem is not None
