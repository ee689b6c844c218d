"""Recent-row cache: the last rows of every symbol in memory between two updates, while they equal the stored rows.

An entry belongs to one commit of a table and one instant. The rows that the table's log lists as added since then bring
it to a later commit, but only if each of them extends the end of a symbol's history. A restatement, a late row, a new
symbol, a repaired or another table empties the entry, and the next update reads the table again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.compute import BAR_COLUMNS
from feature_repo.compute.kernel import Bars
from feature_repo.engines import SymbolBars
from lake.disk import FileIdentity, identity_of
from lake.spec import INSTANT, TableSpec
from lake.store import ROW_KEY, Lake, Watermark, new_rows, read_look_back
from lake.tables import BARS

CACHED_VALUES = 64_000_000
"""Most values of one table in the cache, about 500 MB: what 5,000 symbols need for the longest warm-up."""
RECENT_BAR_COLUMNS = (*ROW_KEY, *(name for name in BARS.names if name in BAR_COLUMNS))
"""Columns of bars that features read."""
Rows = npt.NDArray[np.int64]
SECONDS = 32
"""Bits of a row's key that hold its time; the bits above hold the number of its symbol."""


@dataclass(frozen=True)
class ReadPoint:
    """Source of cached rows: a table at a version and an instant, and the identity of that version's commit file.

    The file's identity is part of it because a folder that was emptied and filled again reuses version numbers.
    """

    lake: Lake
    table: TableSpec
    columns: tuple[str, ...]
    read: Watermark
    commit: FileIdentity | None

    @classmethod
    def of(
        cls, lake: Lake, read: Watermark, table: TableSpec = BARS, columns: tuple[str, ...] = RECENT_BAR_COLUMNS
    ) -> "ReadPoint":
        """Describe what a run reads."""
        entry: Path = lake.path(table) / "_delta_log" / f"{read.version:020d}.json"
        return cls(lake, table, columns, read, identity_of(entry))

    @property
    def slot(self) -> tuple[Path, str, tuple[str, ...]]:
        """Key of the cache."""
        return self.lake.root, self.table.name, self.columns


@dataclass(frozen=True)
class RecentRows:
    """Rows of some symbols, sorted by symbol and time.

    Parameters
    ----------
    symbols
        Sorted names; `rows` holds them as numbers of this list.
    rows
        One row per key, symbol, event_time and known_time among the columns.
    is_whole
        Per symbol, whether its history begins within the rows.
    """

    symbols: pl.Series
    rows: pl.DataFrame
    is_whole: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, place: ReadPoint, first: pl.DataFrame, count: int) -> "RecentRows":
        """Read the rows of each symbol from its instant on, and up to `count` before it."""
        read, names = place.read, place.columns
        rows = read_look_back(place.lake, place.table, first, count, now=read.now, version=read.version, columns=names)
        symbols = rows["symbol"].unique().sort()
        recent = cls(symbols, rows.with_columns(pl.col("symbol").cast(names_of(symbols))), np.zeros(len(symbols), bool))
        start, at, _ = recent.span(first)
        return replace(recent, is_whole=at - start < count)

    @cached_property
    def keys(self) -> Rows:
        """Symbol and time of each row as one ascending number."""
        return _keys(self.rows)

    def span(self, first: pl.DataFrame) -> tuple[Rows, Rows, Rows]:
        """Row offsets ``(start, cutoff, end)`` of each symbol of `first`; the cutoff is its instant."""
        asked = first.sort("symbol").select(
            pl.col("symbol").cast(names_of(self.symbols)), pl.col("first").alias("event_time")
        )
        at = _keys(asked)
        codes = at >> SECONDS
        ends = [np.searchsorted(self.keys, (codes + step) << SECONDS) for step in (0, 1)]
        return ends[0], np.searchsorted(self.keys, at), ends[1]

    def covers(self, first: pl.DataFrame, count: int) -> bool:
        """Whether the rows reach far enough back for each of these symbols."""
        if not first["symbol"].is_in(self.symbols.implode()).all():
            return False
        start, at, _ = self.span(first)
        whole = self.is_whole[first.sort("symbol")["symbol"].cast(names_of(self.symbols)).to_physical().to_numpy()]
        return bool(((at - start >= count) | whole).all())

    def around(self, first: pl.DataFrame, count: int, columns: Sequence[str]) -> pl.DataFrame:
        """Rows of each symbol from its instant on, and up to `count` before it."""
        start, at, end = self.span(first)
        return self.rows.select(columns)[ranges(np.maximum(start, at - count), end)]

    def numbers(self, name: str) -> Bars:
        """One column as an array; NaN where it is null."""
        if name not in self._arrays:
            self._arrays[name] = self.rows[name].cast(pl.Float64).to_numpy()
        return self._arrays[name]

    def bars(
        self, begins: Rows, ends: Rows, starts: Rows, names: Collection[str], *, with_known: bool = True
    ) -> SymbolBars:
        """Return rows ``[begin, end)`` of each symbol as arrays, with those of the named columns that are here.

        Parameters
        ----------
        starts
            Where the rows of each symbol lie among those returned; see `SymbolBars`.
        with_known
            Whether to say when each row was known.
        """
        taken = ranges(begins, ends)
        event = self.rows["event_time"].to_physical().to_numpy()[taken]
        known = self.rows["known_time"].to_physical().to_numpy()[taken] if with_known else None
        columns = {name: self.numbers(name)[taken] for name in names if name in self.rows.columns}
        return SymbolBars(starts, event, known, columns)

    @cached_property
    def _arrays(self) -> dict[str, Bars]:
        return {}

    def followed_by(self, fresh: pl.DataFrame, keep: int) -> "RecentRows | None":
        """Append rows and keep the last `keep` per symbol; None unless each extends the history of a cached symbol."""
        if not fresh["symbol"].is_in(self.symbols.implode()).all():
            return None
        added = (
            fresh.select(self.rows.columns).with_columns(pl.col("symbol").cast(names_of(self.symbols))).sort(ROW_KEY)
        )
        keys = _keys(added)
        codes = keys >> SECONDS
        starts, ends = (np.searchsorted(self.keys, (np.arange(len(self.symbols)) + step) << SECONDS) for step in (0, 1))
        if (np.diff(keys) <= 0).any() or (keys <= self.keys[ends[codes] - 1]).any():
            return None
        counts = ends - starts + np.bincount(codes, minlength=len(self.symbols))
        order = np.insert(np.arange(len(self.keys)), ends[codes], len(self.keys) + np.arange(len(keys)))
        upto = np.cumsum(counts)
        kept = order[ranges(upto - np.minimum(counts, keep), upto)]
        rows = pl.concat([self.rows, added])[kept]
        return RecentRows(self.symbols, rows, self.is_whole & (counts <= keep))


@dataclass(frozen=True)
class _CacheEntry:
    place: ReadPoint
    count: int
    recent: RecentRows


_cached_rows: dict[tuple[Path, str, tuple[str, ...]], _CacheEntry] = {}
"""Entries of at most one lake."""


def recent_rows_of(place: ReadPoint, first: pl.DataFrame, count: int) -> RecentRows:
    """Return the rows of each symbol from its instant on and at least `count` before it, cached where possible.

    Parameters
    ----------
    place
        What to read.
    first
        ``symbol, first``: the instant of each symbol.
    """
    for slot in [slot for slot in _cached_rows if slot[0] != place.lake.root]:
        del _cached_rows[slot]
    held = _cached_rows.pop(place.slot, None)
    recent = None if held is None else _carried(held, place, count)
    if recent is None or not recent.covers(first, count):
        recent = RecentRows.read(place, first, count)
    if place.commit is not None and recent.rows.height * recent.rows.width <= CACHED_VALUES:
        _cached_rows[place.slot] = _CacheEntry(place, max(count, held.count if held else 0), recent)
    return recent


def _carried(held: _CacheEntry, place: ReadPoint, count: int) -> RecentRows | None:
    """Bring a cache entry to another version of its table; None where the log does not prove that this is possible."""
    then = held.place
    if place.commit is None or ReadPoint.of(then.lake, then.read, then.table, then.columns).commit != then.commit:
        return None
    if then.read == place.read:
        return held.recent
    fresh = new_rows(place.lake, place.table, then.read, place.read.now, until=place.read.version)
    if fresh is None:
        return None
    own = fresh.filter(pl.col("symbol") != place.lake.market.index)
    return held.recent.followed_by(own, max(count, held.count) + 1)


def names_of(symbols: pl.Series) -> pl.Enum:
    """Return symbols as numbers: their places among sorted names."""
    return pl.Enum(symbols.to_list())


def _keys(rows: pl.DataFrame) -> Rows:
    seconds: Any = rows["event_time"].cast(INSTANT).to_physical().to_numpy() // 1_000_000
    keys: Rows = (rows["symbol"].to_physical().to_numpy().astype(np.int64) << SECONDS) + seconds
    return keys


def ranges(starts: Rows, ends: Rows) -> Rows:
    """Return all numbers of some half-open ranges, one range after the other."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())
