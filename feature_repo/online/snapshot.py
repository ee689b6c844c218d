"""The online store's stand-in: the same rows from the Delta tables, packed in this process's memory."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.online.generations import Generation, Index, index_key, sealed_rows
from feature_repo.online.packing import EVENT, KNOWN, instants
from feature_repo.online.seals import OnlineKey
from feature_repo.online.views import OnlineView
from lake.clock import Clock
from lake.disk import write_durably
from lake.settings import Settings

if TYPE_CHECKING:
    from lake.store import Lake

REFRESH_SECONDS = 1.0
FIRST_LOAD_SECONDS = 30.0
"""Longest wait, when a reader is opened, for a snapshot that can stand in for Redis."""


@dataclass(frozen=True)
class LoadedSnapshot:
    """Packed and sealed rows, by the key they have in Redis, and what they were read from.

    Parameters
    ----------
    names
        Entities that have a row, by view.
    indexes
        The same with their times, sealed, by the key they have in Redis.
    generation
        The one whose rows these are; None if they are the tables' newest.
    as_generation
        `generation`, or for the tables' newest rows one made up for them: time of reading, market time, versions.
    """

    values: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    indexes: dict[str, bytes] = field(default_factory=dict)
    generation: Generation | None = None
    as_generation: Generation = field(default_factory=lambda: Generation(0))


def generation_path(settings: Settings) -> Path:
    """File that says what the last materialisation put into Redis; it outlives the server."""
    return settings.home / "online.json"


def write_last_generation(settings: Settings, generation: Generation) -> None:
    """Write the generation of a materialisation, for the snapshots of this and other processes."""
    text = json.dumps(
        {"number": generation.number, "until": generation.until, "versions": generation.versions}, default=str
    )
    write_durably(generation_path(settings), text)


def read_last_generation(settings: Settings) -> Generation | None:
    """Read the generation of the last materialisation; None before the first, and where the file is damaged."""
    try:
        content = json.loads(generation_path(settings).read_text(encoding="utf-8"))
        return Generation(content["number"], datetime.fromisoformat(content["until"]), content["versions"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


class OnlineSnapshot:
    """Rows of some views as the last materialisation served them.

    They are read from the same table versions as known at the same instant, so an answer from here has the bytes that
    Redis had. Before any materialisation, or when those versions were cleaned up, the newest versions count, as known
    at the market's now.

    Parameters
    ----------
    settings
        Whose tables.
    views
        What to keep.
    clock
        Says the market's now; by default the replay clock of the settings.
    """

    def __init__(self, settings: Settings, views: Sequence[OnlineView], clock: Clock | None = None) -> None:
        self._settings, self._views = settings, tuple(views)
        self._clock = clock or settings.clock
        self._loaded: LoadedSnapshot | None = None
        self._stamp: object = None
        self._tried, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.problem = ""
        """Why the last refresh failed; what was loaded before it stands."""

    @property
    def loaded(self) -> LoadedSnapshot | None:
        """What is in memory; None until the first load is done."""
        return self._loaded

    def refresh(self) -> bool:
        """Load again if there was a materialisation since, or without one if the tables have changed; say whether."""
        from lake.store import Lake

        lake = Lake(self._settings.tables)
        generation = read_last_generation(self._settings)
        if generation is None:
            return self._renew(lake, None)
        try:
            return self._renew(lake, generation)
        except Exception:  # noqa: BLE001 - the newest tables stand in until what was materialised can be read
            return self._renew(lake, None)

    def start(self) -> "OnlineSnapshot":
        """Load now and keep it fresh, both in a thread that ends with the process; return once it has tried to load."""
        self._thread = threading.Thread(target=self._run, name="online-snapshot", daemon=True)
        self._thread.start()
        self._tried.wait(FIRST_LOAD_SECONDS)
        return self

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.refresh()
                self.problem = ""
            except Exception as error:  # noqa: BLE001 - the reader goes on with what is loaded, and says the problem
                self.problem = str(error)
            self._tried.set()
            self._ended.wait(REFRESH_SECONDS)

    def _renew(self, lake: "Lake", generation: Generation | None) -> bool:
        """Load unless just this is loaded; what cannot be loaded leaves no mark and is tried again."""
        versions = self._versions(lake) if generation is None else {}
        until = self._clock.now() if generation is None else generation.until
        key = OnlineKey.of(self._settings)
        stamp = (generation.number if generation else None, until, sorted(versions.items()), key)
        if stamp == self._stamp:
            return False
        self._loaded, self._stamp = self._load(lake, generation, key), stamp
        return True

    def _versions(self, lake: "Lake") -> dict[str, int]:
        return lake.versions(
            [table for table in {v.table.name: v.table for v in self._views}.values() if lake.exists(table)]
        )

    def _load(self, lake: "Lake", generation: Generation | None, key: OnlineKey) -> LoadedSnapshot:
        from feature_repo.online.rows import newest_rows

        versions = self._versions(lake) if generation is None else generation.versions or {}
        until = self._clock.now() if generation is None or generation.until is None else generation.until
        at = time.time_ns() // 1_000 if generation is None else generation.number
        values: dict[str, bytes] = {}
        names: dict[str, list[str]] = {}
        indexes: dict[str, bytes] = {}
        for view in self._views:
            rows = newest_rows(lake, view, until, versions.get(view.table.name))
            names[view.name] = rows[view.entity].to_list()
            values |= sealed_rows(key, view.name, names[view.name], view.layout.pack(rows, at))
            index = Index(names[view.name], instants(rows[EVENT]), instants(rows[KNOWN]))
            indexes[index_key(view.name)] = key.seal(index_key(view.name), index.to_bytes())
        layouts = {view.name: view.layout.fingerprint.hex() for view in self._views}
        return LoadedSnapshot(values, names, indexes, generation, Generation(at, until, versions, layouts))
