"""Open tables of this process, kept between reads: two looks at the disk tell whether a table has changed."""

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.exceptions import TableNotFoundError as DeltaTableNotFoundError

from lake.disk import FileIdentity, identity_of
from lake.errors import DamagedTableError, NotReadyError, TableNotFoundError
from lake.market import market_of
from lake.spec import INSTANT
from lake.store import commits, delta_log
from lake.store.files import YEAR

MOST_TABLES = 64
"""Tables kept open at once; the least recently used is dropped, and opened again when it is read."""
COARSEST = pl.duration(milliseconds=1)
"""Other writers cut the times in their statistics down to the millisecond."""


KEY, RESTATES = "quantlake.key", "quantlake.restates"
"""Properties every table carries in its own metadata, so that a reader without our code can ask it as of a time."""
GONE = "quantlake.gone"
"""Property with the ranges of versions that repairs took out; commits of that number only fill the gap."""


@dataclass(frozen=True)
class StoredTable:
    """A table as its own metadata describes it, without its spec.

    Each field of `schema` carries ``comment`` and ``unit`` in its metadata, where the table was made with them.
    """

    name: str
    meaning: str
    version: int
    key: tuple[str, ...]
    restates: bool
    files: tuple[str, ...]
    sizes: tuple[int, ...]
    schema: pa.Schema


@dataclass(frozen=True)
class TableSnapshot:
    """One version of a table: its files, with what the log says is in them.

    Parameters
    ----------
    files
        ``path`` (absolute), ``name`` (as the log writes it), ``size_bytes``, ``rows``, ``first`` and ``last`` event
        time, ``year``; null where the log does not say.
    """

    version: int
    files: pl.DataFrame

    @property
    def paths(self) -> list[str]:
        """Absolute paths of the files."""
        return self.files["path"].to_list()

    def between(self, first: datetime, last: datetime) -> list[str]:
        """Paths of the files that may hold an event time from first to last."""
        outside = (pl.col("last") + COARSEST < first) | (pl.col("first") > last)
        return self.files.filter(~outside.fill_null(value=False))["path"].to_list()

    def extent(self) -> tuple[int, datetime | None, datetime | None] | None:
        """Rows, first and last event time; None where a file does not say."""
        if self.files.select(pl.any_horizontal(pl.col("rows", "first", "last").has_nulls())).item():
            return None
        first: Any = self.files["first"].min()
        last: Any = self.files["last"].max()
        return int(self.files["rows"].sum()), first, last


class Handle:
    """A table held open by this process."""

    def __init__(self, folder: Path, opened: Callable[[], Any]) -> None:
        self._folder, self._open = folder, opened
        self._lock = threading.RLock()
        self._table: Any = None
        self._snapshot: TableSnapshot | None = None
        self._seen: FileIdentity | None = None
        self._oldest: Path | None = None
        self.durable: int | None = None
        """Newest version that this process has put on disk itself."""
        self._whole: tuple[int, Any] | None = None
        """Newest version whose log was compared with the ledger, and the snapshot that was."""

    def snapshot(self) -> TableSnapshot:
        """Return the newest version; the log is read only where it has changed."""
        with self._lock:
            if self._snapshot is None or not self._is_newest(self._snapshot.version):
                self._refresh()
            assert self._snapshot is not None
            return self._snapshot

    def require_complete(self) -> TableSnapshot:
        """Return the newest version, its log compared with the ledger once.

        Raises
        ------
        DamagedTableError
            If the log ends before the newest commit that is known, or one of its files changed.
        """
        with self._lock:
            snapshot = self.snapshot()
            if self._whole is None or self._whole[1] is not snapshot:
                is_further = self._whole is not None and self._whole[0] < snapshot.version
                since = self._whole[0] if self._whole is not None and is_further else None
                commits.require_complete(self._folder, since, snapshot.version)
                self._whole = snapshot.version, snapshot
            return snapshot

    @contextmanager
    def table(self) -> Iterator[Any]:
        """Give the table at its newest version to one thread at a time."""
        with self._lock:
            self.snapshot()
            yield self._table

    def _refresh(self) -> None:
        before = self._snapshot
        if before is None or not self._is_still_there(before.version) or not self._follow():
            self._table, self.durable = self._open(), None
            self._oldest = delta_log.oldest(self._folder)
        snapshot = read(self._folder, self._table)
        self._seen = self._identity(snapshot.version)
        if self._seen is not None and not self._seen.size:
            raise DamagedTableError(
                f"Entry {snapshot.version} of the log of table '{self._folder.name}' is empty: rows may be missing. "
                f"`quantlake lake repair {self._folder.name}` goes back to the last good version."
            )
        self._snapshot = snapshot

    def _follow(self) -> bool:
        """Whether the table in hand could be brought up to date."""
        try:
            self._table.update_incremental()
        except Exception:  # noqa: BLE001 - e.g. cleaned up meanwhile; opening it anew works, or says what is wrong
            return False
        return True

    def _is_newest(self, version: int) -> bool:
        return self._is_still_there(version) and not delta_log.entry(self._folder, version + 1).exists()

    def _is_still_there(self, version: int) -> bool:
        """Whether it is the table seen, not one made anew under the same name, and none of its log was cleaned up."""
        is_same = self._seen is not None and self._identity(version) == self._seen
        return is_same and self._oldest is not None and self._oldest.exists()

    def _identity(self, version: int) -> FileIdentity | None:
        return identity_of(delta_log.entry(self._folder, version))


_HANDLES: OrderedDict[Path, Handle] = OrderedDict()
_HANDLES_LOCK = threading.Lock()


def handle(folder: Path, opened: Callable[[], Any]) -> Handle:
    """Return this process's handle of a table; `opened` opens it where there is none yet."""
    with _HANDLES_LOCK:
        found = _HANDLES.get(folder)
        if found is None:
            found = _HANDLES[folder] = Handle(folder, opened)
        _HANDLES.move_to_end(folder)
        if len(_HANDLES) > MOST_TABLES:
            _HANDLES.popitem(last=False)
    return found


def describe(table: Any, folder: Path) -> StoredTable:
    """Describe a table from its own metadata."""
    properties, files = table.metadata().configuration, read(folder, table).files
    return StoredTable(
        name=folder.name,
        meaning=table.metadata().description or "",
        version=int(table.version()),
        key=tuple(json.loads(properties.get(KEY, "[]"))),
        restates=bool(json.loads(properties.get(RESTATES, "false"))),
        files=tuple(files["path"]),
        sizes=tuple(files["size_bytes"]),
        schema=pa.schema(table.schema().to_arrow()),
    )


def not_found(folder: Path) -> TableNotFoundError:
    """Return the error of a table that was never written, with the command that makes it."""
    return TableNotFoundError(
        f"Table '{folder.name}' does not exist under {folder.parent} yet. Make it with "
        f"`{market_of(folder.parent.parent).first_run}`, or materialise "
        f"the asset '{folder.name}' in the Dagster UI."
    )


def opened(folder: Path, version: int | None = None, *, even_gone: bool = False) -> DeltaTable:
    """Open a table at one version, by default the newest.

    Raises
    ------
    TableNotFoundError
        If there is no such table.
    NotReadyError
        If the table has no such version, or no longer, or only a mark in its place (let pass by `even_gone`).
    DamagedTableError
        If the log cannot be read.
    """
    name, there = folder.name, delta_log.readable(folder)
    if version is not None and there and version not in there:
        raise NotReadyError(
            f"Version {version} of table '{name}' cannot be read: it was cleaned up, or never written. The table has "
            f"versions {there[0]} to {there[-1]}; `quantlake lake versions {name}` lists them."
        )
    try:
        table = DeltaTable(str(folder), version=version)
    except DeltaTableNotFoundError as error:
        raise not_found(folder) from error
    except DeltaError as error:
        raise DamagedTableError(
            f"Table '{name}' cannot be opened; its log is damaged: {str(error).splitlines()[0][:200]}. "
            f"`quantlake lake doctor {name}` names the file, `quantlake lake repair {name}` goes back "
            "to the last good version."
        ) from error
    if version is not None and not even_gone and is_gone(version, table.metadata().configuration):
        raise NotReadyError(
            f"Version {version} of table '{name}' was lost, and a repair put a mark without rows in its place. "
            f"`quantlake lake versions {name}` lists the versions there are."
        )
    return table


def gone(properties: Mapping[str, str | None]) -> list[list[int]]:
    """Ranges of versions, first and last, that repairs took out."""
    ranges: list[list[int]] = json.loads(properties.get(GONE) or "[]")
    return ranges


def is_gone(version: int, properties: Mapping[str, str | None]) -> bool:
    """Whether a commit, by the properties it sets itself, only stands in for one that was lost."""
    return any(first <= version <= last for first, last in gone(properties))


def lives(folder: Path) -> list[tuple[Path, int, float]]:
    """Return each data file with the version that added it and the one that removed it, infinity where none did."""
    there = delta_log.readable(folder)
    if not there:
        return []
    since = {Path(file): there[0] for file in read(folder, opened(folder, there[0], even_gone=True)).paths}
    ended: list[tuple[Path, int, float]] = []
    for version in there[1:]:
        for action in delta_log.actions(folder, version):
            if "add" in action:
                since[folder / unquote(action["add"]["path"])] = version
            elif "remove" in action and (file := folder / unquote(action["remove"]["path"])) in since:
                ended.append((file, since.pop(file), version))
    return [*ended, *((file, first, math.inf) for file, first in since.items())]


def read(folder: Path, table: Any) -> TableSnapshot:
    """Return the files of an open table, as its log describes them."""
    actions = pl.DataFrame(table.get_add_actions(flatten=True))
    wanted = {
        "rows": ("num_records", pl.Int64()),
        "first": ("min.event_time", INSTANT),
        "last": ("max.event_time", INSTANT),
        "year": (f"partition.{YEAR}", pl.Int32()),
    }
    files = actions.select(
        pl.col("path").alias("name"),
        "size_bytes",
        *(
            (pl.col(source) if source in actions.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, (source, dtype) in wanted.items()
        ),
    )
    paths = [str(folder / unquote(name)) for name in files["name"]]
    return TableSnapshot(int(table.version()), files.with_columns(pl.Series("path", paths, dtype=pl.String)))


def count(rows: pl.LazyFrame) -> tuple[int, datetime | None, datetime | None]:
    """Count rows and find first and last event time by reading them."""
    first, last = (
        bound.alias(name) for bound, name in ((pl.min("event_time"), "first"), (pl.max("event_time"), "last"))
    )
    counted: tuple[int, datetime | None, datetime | None] = rows.select(pl.len(), first, last).collect().row(0)
    return counted
