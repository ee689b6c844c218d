"""Which values of Redis may be served: sealed for their key, of the current generation, with the tables' content.

A value that was verified once is remembered, so that the next read of it costs one comparison of bytes and no digest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from feature_repo.online.degradation import Degradation, DegradationKind
from feature_repo.online.generations import Generation, Index, generation_key
from feature_repo.online.packing import HEADER
from feature_repo.online.seals import SEAL_BYTES, OnlineKey
from feature_repo.online.snapshot import LoadedSnapshot
from feature_repo.online.views import OnlineView

Values = list[bytes | None]
ViewRequests = Sequence[tuple[OnlineView, Sequence[str]]]
UNVERIFIED, UNUSABLE = DegradationKind.UNVERIFIED, DegradationKind.UNUSABLE
REMEMBERED_BYTES = 64 * 2**20
"""Of verified values that the snapshot does not hold anyway; what is more is verified at each read."""
GENERATION_AT = 32
"""Where the generation lies in the header: the one part of a row that may differ between Redis and the snapshot."""


class UnusableError(Exception):
    """Redis answered, and its answer must not be served: a reason to ask the snapshot.

    Parameters
    ----------
    kind
        What is wrong with it.
    detail
        One sentence without a full stop.
    views
        How many values of each view did not verify.
    keys
        Keys in Redis of these values.
    """

    def __init__(
        self, kind: DegradationKind, detail: str, views: dict[str, int] | None = None, keys: Sequence[str] = ()
    ) -> None:
        super().__init__(detail)
        self.degradation = Degradation(kind, detail)
        self.views, self.keys = views or {}, tuple(keys)


@dataclass
class _Verified:
    """Values that were verified against one generation and one state of the snapshot."""

    loaded: LoadedSnapshot | None
    generation: Generation
    values: dict[str, bytes]
    room: int = REMEMBERED_BYTES

    def remember(self, key: str, value: bytes) -> None:
        if len(value) <= self.room:
            self.room -= len(value)
            self.values[key] = value


@dataclass
class Verification:
    """Verifies answers of Redis. Safe for threads.

    Parameters
    ----------
    key
        Gives the key of the seals; asked whenever something new is verified, so that a replaced key is taken up.
    """

    key: Callable[[], OnlineKey]
    _last: _Verified = field(default_factory=lambda: _Verified(None, Generation(0), {}))

    def require(
        self, keys: Sequence[str], raw: Values, asked: ViewRequests, loaded: LoadedSnapshot | None
    ) -> Generation:
        """Return the generation of an answer whose every value may be served.

        Parameters
        ----------
        keys, raw
            Keys that were asked for and what Redis holds there; the first is the generation.
        asked
            Views and entities that the further keys stand for.
        loaded
            What the snapshot held before Redis was asked; None where there is none.

        Raises
        ------
        UnusableError
            If any value is not what was stored last under its key, as far as that can be known.
        """
        last = self._last
        if raw[0] is not None and last.loaded is loaded and [*map(last.values.get, keys)] == raw:
            return last.generation
        return self._verify(keys, raw, asked, loaded)

    def require_index(self, name: str, raw: Values, view: OnlineView, loaded: LoadedSnapshot | None) -> Index:
        """Return the index of a view that may be served; `raw` is the generation and the index. Errors as `require`."""
        key = self.key()
        _generation(key, raw[0], loaded)
        content = key.content(name, raw[1])
        if content is None and raw[1] is not None:
            detail = f"Redis holds an index of view '{view.name}' that does not verify"
            raise UnusableError(UNVERIFIED, detail, {view.name: 1})
        index = Index.from_bytes(content)
        if loaded is not None and not set(loaded.names.get(view.name, ())) <= set(index.names):
            raise UnusableError(UNUSABLE, f"Redis lacks an entity of view '{view.name}' that the tables have")
        return index

    def _verify(
        self, keys: Sequence[str], raw: Values, asked: ViewRequests, loaded: LoadedSnapshot | None
    ) -> Generation:
        key = self.key()
        last = self._current(_generation(key, raw[0], loaded), raw[0], loaded)
        bad: list[str] = []
        views: dict[str, int] = {}
        at = 1
        for view, names in asked:
            for name, value in zip(keys[at : at + len(names)], raw[at : at + len(names)], strict=True):
                if value is None or last.values.get(name) == value:
                    continue
                if _is_current(key, name, value, view, last):
                    if not view.layout.accepts(value):
                        raise UnusableError(UNUSABLE, f"Redis holds rows of view '{view.name}' in another layout")
                    last.remember(name, value)
                else:
                    bad.append(name)
                    views[view.name] = views.get(view.name, 0) + 1
            at += len(names)
        if bad:
            detail = f"Redis holds a value of view '{next(iter(views))}' that does not verify"
            raise UnusableError(UNVERIFIED, detail, views, bad)
        return last.generation

    def _current(self, generation: Generation, raw: bytes | None, loaded: LoadedSnapshot | None) -> _Verified:
        """What is remembered of this generation and this state of the snapshot; anew where either is another."""
        last, name = self._last, generation_key()
        if last.loaded is loaded and last.values.get(name) == raw:
            return last
        fresh = _Verified(loaded, generation, dict(loaded.values) if loaded and _is_of(generation, loaded) else {})
        if raw is not None:
            fresh.remember(name, raw)
        self._last = fresh
        return fresh


def _generation(key: OnlineKey, raw: Any, loaded: LoadedSnapshot | None) -> Generation:
    """Read a generation; refuse an empty server, another's words, and a server that came back from an old copy."""
    if raw is None:
        detail = "Redis is empty: it has lost what was materialised, or nothing has been yet"
        raise UnusableError(DegradationKind.EMPTY, detail)
    content = key.content(generation_key(), raw)
    if content is None:
        raise UnusableError(UNVERIFIED, "Redis holds a generation that does not verify", {"generation": 1})
    generation = _parsed(content)
    if loaded and loaded.generation and generation.number < loaded.generation.number:
        raise UnusableError(UNUSABLE, "Redis has fallen back behind the last materialisation")
    return generation


def _is_of(generation: Generation, loaded: LoadedSnapshot) -> bool:
    """Whether the snapshot holds the rows of just this generation."""
    return loaded.generation is not None and loaded.generation.number == generation.number


def _is_current(key: OnlineKey, name: str, value: bytes, view: OnlineView, last: _Verified) -> bool:
    """Whether a value is sealed for its key, no newer than its generation, and what the tables have in its place."""
    if not key.accepts(name, value) or len(value) < HEADER.size + SEAL_BYTES:
        return False
    if HEADER.unpack_from(value)[5] > last.generation.number:
        return False
    loaded = last.loaded
    if loaded is None or not _is_of(last.generation, loaded) or view.name not in loaded.names:
        return True
    expected = loaded.values.get(name)
    return expected is not None and _told(value) == _told(expected)


def _told(value: bytes) -> tuple[bytes, bytes]:
    """A row without its generation and its seal."""
    return value[:GENERATION_AT], value[HEADER.size : -SEAL_BYTES]


@lru_cache(maxsize=4)
def _parsed(content: bytes) -> Generation:
    """What a generation says of itself, parsed once for all the reads that are answered from it."""
    return Generation.from_bytes(content)
