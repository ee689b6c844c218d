"""Bring Redis back to what the last materialisation put there, from the snapshot of the tables."""

import logging
import threading
from collections.abc import Collection, Sequence
from typing import Any, Protocol

import numpy as np
from redis import Redis
from redis.exceptions import WatchError

from feature_repo.online.claims import require_own_server
from feature_repo.online.generations import Generation, Rows, generation_key, index_key, read_index, row_key
from feature_repo.online.packing import HEADER
from feature_repo.online.redis_server import connect, redis_url
from feature_repo.online.seals import OnlineKey
from feature_repo.online.snapshot import LoadedSnapshot, OnlineSnapshot, read_last_generation
from feature_repo.online.views import VIEWS, OnlineView
from lake.settings import Settings

logger = logging.getLogger("quantlake.online")

REST_SECONDS = 1.0
"""Between two repairs, however many readers find something wrong."""
WRITE_SECONDS = 10.0
MOST_KEYS = 10_000
"""Keys to be removed that are remembered between two repairs."""
AT_ONCE = 1_000


class StoreObserver(Protocol):
    """Takes notice of what becomes of the online store, for the metrics."""

    def unverified(self, view: str, count: int) -> None:
        """So many values of a view did not verify."""

    def repaired(self) -> None:
        """The store was filled again from the snapshot."""


class NoObserver:
    """Takes no notice."""

    def unverified(self, view: str, count: int) -> None:
        """Pass over it."""

    def repaired(self) -> None:
        """Pass over it."""


class Repairer:
    """Repairs Redis in a thread of its own, when asked to and not more often than once a second.

    Parameters
    ----------
    settings
        Say where Redis is.
    snapshot
        What Redis should hold. Only one that has every view, and holds just what the last materialisation put into
        Redis, is written there.
    notice
        Told of each repair.
    """

    def __init__(self, settings: Settings, snapshot: OnlineSnapshot, notice: StoreObserver) -> None:
        self._settings, self._snapshot, self._notice = settings, snapshot, notice
        self._lock = threading.Lock()
        self._strange: set[str] = set()
        self._wanted, self._over = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._last_problem = ""

    def request(self, keys: Sequence[str] = ()) -> None:
        """Let a repair begin soon; never waits.

        Parameters
        ----------
        keys
            Keys whose value does not verify. Those that the snapshot does not know are removed.
        """
        with self._lock:
            if len(self._strange) < MOST_KEYS:
                self._strange.update(keys)
            if self._thread is None and not self._over.is_set():
                self._thread = threading.Thread(target=self._run, name="online-repair", daemon=True)
                self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            self._wanted.wait()
            if self._over.is_set():
                return
            self._wanted.clear()
            self._try()
            self._over.wait(REST_SECONDS)

    def _try(self) -> None:
        with self._lock:
            strange, self._strange = self._strange, set()
        try:
            loaded = self._snapshot.loaded
            if loaded is None or not _is_last(loaded, self._settings):
                return
            with connect(redis_url(self._settings), WRITE_SECONDS) as client:
                require_own_server(self._settings, client)
                is_done = refill(client, OnlineKey.of(self._settings), loaded, strange)
        except Exception as error:  # noqa: BLE001 - the next reader that finds something wrong asks again
            if str(error) != self._last_problem:
                self._last_problem = str(error)
                logger.warning("the online store could not be repaired from the tables: %s", self._last_problem)
            return
        if is_done:
            self._last_problem = ""
            self._notice.repaired()
            logger.warning(
                "the online store was repaired: generation %d was written again", loaded.as_generation.number
            )


def refill(client: Redis, key: OnlineKey, loaded: LoadedSnapshot, strange: Collection[str] = ()) -> bool:
    """Write everything that the snapshot holds, as the generation that it is of; say whether it was written.

    A server that holds a later generation is left alone, and so is one that gets another meanwhile.

    Parameters
    ----------
    strange
        Keys to remove unless the snapshot has a value for them.

    Raises
    ------
    redis.exceptions.RedisError
        If Redis does not take it; it then holds what it held before.
    """
    name = generation_key()
    values = {**loaded.values, **loaded.indexes, name: key.seal(name, loaded.as_generation.to_bytes())}
    with client.pipeline(transaction=True) as opened:
        pipe: Any = opened  # redis-py leaves `watch` and `multi` without types
        pipe.watch(name)
        (raw,) = pipe.mget([name])
        held = key.content(name, raw)
        if held is not None and Generation.from_bytes(held).number > loaded.as_generation.number:
            return False
        pipe.multi()
        removed = [name for name in strange if name not in values]
        if removed:
            pipe.delete(*removed)
        pipe.mset(values)
        try:
            pipe.execute()
        except WatchError:
            return False
    return True


def is_whole(client: Redis, key: OnlineKey, number: int, replaced: Sequence[Rows] = ()) -> bool:
    """Whether each row that the indexes name is there, sealed, of its time, and no newer than the generation.

    Parameters
    ----------
    replaced
        Rows that are about to be written. What they take the place of is not looked at.
    """
    by_view = {rows.view: rows for rows in replaced}
    return all(_is_view_whole(client, key, number, view, by_view.get(view.name)) for view in VIEWS)


def _is_view_whole(client: Redis, key: OnlineKey, number: int, view: OnlineView, replaced: Rows | None) -> bool:
    index = read_index(client, key, view.name)
    if not index.names:
        (raw,) = _asked(client, [index_key(view.name)])
        return key.accepts(index_key(view.name), raw)
    if replaced is not None:
        _, fresh = index.merged(replaced)
        index = index.without({replaced.names[place] for place in fresh})
    for at in range(0, len(index.names), AT_ONCE):
        part = slice(at, at + AT_ONCE)
        keys = [row_key(view.name, name) for name in index.names[part]]
        values = [value for value in _asked(client, keys) if value is not None]
        if len(values) < len(keys) or not all(map(key.accepts, keys, values)):
            return False
        headers = [HEADER.unpack_from(value) for value in values]
        times = np.array([header[3:6] for header in headers], np.int64)
        is_of_index = (times[:, 0] == index.event[part]) & (times[:, 1] == index.known[part])
        if not (is_of_index & (times[:, 2] <= number)).all():
            return False
    return True


def _asked(client: Redis, keys: Sequence[str]) -> list[bytes | None]:
    found: Any = client.mget(keys)
    return list(found)


def _is_last(loaded: LoadedSnapshot, settings: Settings) -> bool:
    """Whether a snapshot has every view, as the last materialisation of its home put it into Redis."""
    last = read_last_generation(settings)
    if last is None or loaded.generation is None or loaded.generation.number != last.number:
        return False
    return {view.name for view in VIEWS} <= loaded.names.keys()
