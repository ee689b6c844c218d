"""Writes to the online store: all rows of a materialisation in one transaction, none older than what it replaces.

A reader asks with one MGET and the server runs one command at a time, so every answer is the state between two
commits. See `docs/adr/0007-packed-online-store.md`.
"""

import json
import struct
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import polars as pl
from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError, WatchError

from feature_repo.online.packing import EVENT, KNOWN, Layout, Words, instants
from feature_repo.online.seals import OnlineKey
from feature_repo.online.views import OnlineView
from lake.errors import OnlineStoreError

PROJECT = "quantlake"
ATTEMPTS = 20
INDEX = struct.Struct("<4sI")
INDEX_MAGIC = b"QLI1"
NUMBER = struct.Struct("<q")


class OvertakenError(OnlineStoreError):
    """The server no longer holds the generation that the rows go on from."""


@dataclass(frozen=True)
class Rows:
    """Rows of one view, ready to be written.

    Parameters
    ----------
    view
        Name of the view.
    layout
        Its columns.
    names
        Entity of each row, each once.
    frame
        `event_time`, `known_time` and the columns of the layout.
    """

    view: str
    layout: Layout
    names: list[str]
    frame: pl.DataFrame

    @classmethod
    def of(cls, view: OnlineView, frame: pl.DataFrame) -> "Rows":
        """Take a frame with the columns of a view, one row per entity."""
        return cls(view.name, view.layout, frame[view.entity].to_list(), frame)


@dataclass(frozen=True)
class Generation:
    """Identity of one commit: its number, and what its rows were taken from.

    Parameters
    ----------
    number
        Microseconds since 1970, UTC, by the wall clock, at which it was made, and more than that of any before.
    until
        Market time up to which rows were taken; None if the writer did not say.
    versions
        Delta versions the rows were read from, by table; None if the writer did not say.
    layouts
        Fingerprint of the columns of each view that was written, in hex.
    """

    number: int
    until: datetime | None = None
    versions: dict[str, int] | None = None
    layouts: dict[str, str] = field(default_factory=dict)

    @property
    def written_at(self) -> datetime:
        """Wall-clock time of the commit."""
        return datetime.fromtimestamp(self.number / 1e6, tz=UTC)

    def to_bytes(self) -> bytes:
        """The number, then the rest as JSON."""
        until = self.until and self.until.astimezone(UTC).isoformat()
        content = {"until": until, "versions": self.versions, "layouts": self.layouts}
        return NUMBER.pack(self.number) + json.dumps(content, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Generation":
        """Read back what `to_bytes` wrote."""
        content = json.loads(raw[NUMBER.size :])
        until = datetime.fromisoformat(content["until"]) if content["until"] else None
        return cls(NUMBER.unpack_from(raw)[0], until, content["versions"], content["layouts"])


@dataclass(frozen=True)
class Index:
    """Entities of one view and the times of their rows, in the order they came."""

    names: list[str] = field(default_factory=list)
    event: Words = field(default_factory=lambda: np.empty(0, np.int64))
    known: Words = field(default_factory=lambda: np.empty(0, np.int64))

    def to_bytes(self) -> bytes:
        """Count, event times, known times, names parted by a zero byte."""
        times = self.event.astype("<i8").tobytes() + self.known.astype("<i8").tobytes()
        return INDEX.pack(INDEX_MAGIC, len(self.names)) + times + "\0".join(self.names).encode()

    @classmethod
    def from_bytes(cls, raw: bytes | None) -> "Index":
        """Read back what `to_bytes` wrote; nothing stored is an index without names."""
        if raw is None:
            return cls()
        _, count = INDEX.unpack_from(raw)
        event = np.frombuffer(raw, "<i8", count, INDEX.size)
        known = np.frombuffer(raw, "<i8", count, INDEX.size + 8 * count)
        names = raw[INDEX.size + 16 * count :].decode().split("\0") if count else []
        return cls(names, event, known)

    def without(self, names: Collection[str]) -> "Index":
        """Return the index of the other entities."""
        kept = [place for place, name in enumerate(self.names) if name not in names]
        return Index([self.names[place] for place in kept], self.event[kept], self.known[kept])

    def merged(self, rows: Rows) -> "tuple[Index, list[int]]":
        """Return the index with the rows in it that are not older than what it names, and which rows those are."""
        places = {name: n for n, name in enumerate(self.names)}
        at = np.array([places.setdefault(name, len(places)) for name in rows.names], dtype=np.int64)
        beginning = np.iinfo(np.int64).min
        grown = len(places) - len(self.names)
        event = np.concatenate([self.event, np.full(grown, beginning)])
        known = np.concatenate([self.known, np.full(grown, beginning)])
        new_event, new_known = instants(rows.frame[EVENT]), instants(rows.frame[KNOWN])
        is_fresh = _is_not_older(new_event, new_known, event[at], known[at])
        event[at[is_fresh]], known[at[is_fresh]] = new_event[is_fresh], new_known[is_fresh]
        return Index(list(places), event, known), np.flatnonzero(is_fresh).tolist()


def _is_not_older(event: Words, known: Words, held_event: Words, held_known: Words) -> Any:
    """Order of two rows of one entity: by event, then by when it was known."""
    return (event > held_event) | ((event == held_event) & (known >= held_known))


def row_key(view: str, entity: str, project: str = PROJECT) -> str:
    """Key of one row; the braces keep a project on one node of a cluster, where a transaction needs it."""
    return f"{{{project}}}:{view}:{entity}"


def index_key(view: str, project: str = PROJECT) -> str:
    """Key of the index of a view."""
    return f"{{{project}}}#index:{view}"


def generation_key(project: str = PROJECT) -> str:
    """Key of the generation that the last commit wrote."""
    return f"{{{project}}}#generation"


def publish(
    client: Redis,
    rows: Sequence[Rows],
    key: OnlineKey,
    *,
    until: datetime | None = None,
    versions: Mapping[str, int] | None = None,
    expected: int | None = None,
    project: str = PROJECT,
) -> Generation:
    """Write rows of any number of views as one generation: a reader sees all of them or none.

    A row that is older than the one it would replace, by event time and then by known time, is left out, and the check
    holds against writers at the same time: the transaction is void if another commit came between.

    Parameters
    ----------
    key
        Seals what is written. What the server holds without its seal counts as not there.
    until, versions
        What the rows were taken from, kept with the generation; see `Generation`.
    expected
        Number of the generation that the rows go on from, 0 if they need none; None if they may follow any.

    Raises
    ------
    OvertakenError
        If the server holds another generation than expected, or none any more; nothing was written then.
    OnlineStoreError
        If Redis is full, does not answer, or other writers leave no gap; nothing was written then.
    """
    _require_distinct(rows)
    try:
        for _ in range(ATTEMPTS):
            try:
                return _attempt(client, rows, key, until, versions, expected, project)
            except WatchError:
                continue
    except OutOfMemoryError as error:
        raise OnlineStoreError(
            "Redis is full and keeps what it has: no row of this materialisation was written. Raise its `maxmemory`, "
            "or remove keys that are not ours."
        ) from error
    except (RedisError, OSError) as error:
        raise OnlineStoreError(
            f"The materialisation was not written: {str(error).rstrip('.')}. The rows of the one before it stand. "
            "Run it again when Redis answers."
        ) from error
    raise OnlineStoreError(
        f"{ATTEMPTS} attempts to write to the online store were each overtaken by another writer. Nothing was written; "
        "let one process materialise at a time."
    )


def _attempt(
    client: Redis,
    rows: Sequence[Rows],
    key: OnlineKey,
    until: datetime | None,
    versions: Mapping[str, int] | None,
    expected: int | None,
    project: str,
) -> Generation:
    indexes = [index_key(batch.view, project) for batch in rows]
    with client.pipeline(transaction=True) as opened:
        pipe: Any = opened  # redis-py leaves `watch` and `multi` without types
        pipe.watch(generation_key(project))
        names = [generation_key(project), *indexes]
        held = [key.content(name, value) for name, value in zip(names, pipe.mget(names), strict=True)]
        last = NUMBER.unpack_from(held[0])[0] if held[0] else 0
        if expected is not None and last != expected:
            raise OvertakenError(
                f"The online store holds generation {last} and no longer {expected}, which these rows go on from: it "
                "was emptied, brought back or written meanwhile. Nothing was written; materialise again."
            )
        generation = Generation(
            number=max(time.time_ns() // 1_000, last + 1),
            until=until,
            versions=None if versions is None else dict(versions),
            layouts={batch.view: batch.layout.fingerprint.hex() for batch in rows},
        )
        values = {generation_key(project): key.seal(generation_key(project), generation.to_bytes())}
        for batch, index_name, raw in zip(rows, indexes, held[1:], strict=True):
            index, fresh = Index.from_bytes(raw).merged(batch)
            whole = len(fresh) == len(batch.names)
            packed = batch.layout.pack(batch.frame if whole else batch.frame[fresh], generation.number)
            names = batch.names if whole else [batch.names[n] for n in fresh]
            values |= sealed_rows(key, batch.view, names, packed, project)
            values[index_name] = key.seal(index_name, index.to_bytes())
        pipe.multi()
        pipe.mset(values)
        pipe.execute()
    return generation


def _require_distinct(rows: Sequence[Rows]) -> None:
    for batch in rows:
        if len(set(batch.names)) < len(batch.names) or any("\0" in name for name in batch.names):
            raise OnlineStoreError(
                f"The rows for view '{batch.view}' name an entity twice, or one with a zero byte in its name. Keep the "
                "newest row of each entity before writing."
            )


def sealed_rows(
    key: OnlineKey, view: str, names: Iterable[str], packed: Iterable[bytes], project: str = PROJECT
) -> dict[str, bytes]:
    """Packed rows as they are stored, by the key of each."""
    prefix = row_key(view, "", project)
    stored = ((prefix + name, value) for name, value in zip(names, packed, strict=True))
    return {name: key.seal_row(name, value) for name, value in stored}


def read_sealed(client: Redis, key: OnlineKey, name: str) -> bytes | None:
    """Return what was sealed and stored under a name; None for what is not there, of another type, or not ours."""
    (raw,) = cast("list[bytes | None]", client.mget([name]))  # unlike GET it takes another type for nothing
    return key.content(name, raw)


def read_generation(client: Redis, key: OnlineKey, project: str = PROJECT) -> Generation | None:
    """The generation of the last commit; None before the first, and where the server lost it or its seal."""
    raw = read_sealed(client, key, generation_key(project))
    return Generation.from_bytes(raw) if raw else None


def read_index(client: Redis, key: OnlineKey, view: str, project: str = PROJECT) -> Index:
    """Entities of a view and the times of their rows; none where the index has not its seal."""
    return Index.from_bytes(read_sealed(client, key, index_key(view, project)))


def remove(client: Redis, key: OnlineKey, views: Iterable[str], project: str = PROJECT) -> None:
    """Take whole views out of the store."""
    for view in views:
        keys = [row_key(view, name, project) for name in read_index(client, key, view, project).names]
        client.delete(*keys, index_key(view, project))
