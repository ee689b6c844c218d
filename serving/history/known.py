"""Tables as they were known at an instant, with the rows kept in memory until a table has a new version.

Every function of this folder gets its rows here, so that one filter decides what an answer may contain.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl

from lake.clock import require_utc
from lake.market import Market
from lake.spec import TableSpec
from lake.store import LakeReader, newest_known
from lake.tables import FORECAST_DECISIONS

KEPT_FRAMES, KEPT_BYTES = 256, 256 * 2**20
"""Frames held at once, and their size in memory; the least recently used are dropped. A frame is the rows of one symbol
in a table, a small table, or what was counted of every symbol."""

Key = tuple[Any, ...]


class KnownTables:
    """Tables of one lake for reading as of an instant. Thread-safe.

    A symbol's rows are read once per version of the table, and filtered in memory for each instant that is asked for.
    What a withdrawn forecast said is left out at every instant, as everywhere else.

    Parameters
    ----------
    reader
        The lake.
    most, most_bytes
        How many frames are kept, and their size in memory; the one used last is kept whatever its size.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC
    >>> from pathlib import Path
    >>> from lake.sources import tiny_market
    >>> from lake.store import Lake
    >>> from lake.tables import BARS
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = lake.merge(BARS, tiny_market(["AAA", "BBB"], sessions=5, seed=1))
    >>> tables = KnownTables(lake)
    >>> tables.known(BARS, datetime(2012, 12, 28, 21, tzinfo=UTC), symbol="AAA").height
    4
    """

    def __init__(self, reader: LakeReader, most: int = KEPT_FRAMES, most_bytes: int = KEPT_BYTES) -> None:
        self.reader, self._most, self._most_bytes = reader, most, most_bytes
        self._kept: OrderedDict[Key, tuple[Key, pl.DataFrame]] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def market(self) -> Market:
        """The market whose tables these are."""
        return self.reader.market

    def for_one_answer(self) -> "KnownTables":
        """Return the same tables for the parts of one answer: versions are looked up, and rows filtered, once for all.

        Rows stay shared with every other answer; what was filtered is dropped with the returned object.
        """
        return _TablesOfAnswer(self)

    def once(self, _name: Key, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """Return a frame that follows from the tables and its name alone; made once `for_one_answer`, else each time.

        Parameters
        ----------
        _name
            What the frame is, with the instant it is for.
        """
        return make()

    def known(self, spec: TableSpec, at: datetime, *, symbol: str | None = None) -> pl.DataFrame:
        """Return the rows of a table that were known at an instant.

        Parameters
        ----------
        at
            Instant with a zone; a row known exactly then is included.
        symbol
            Only this symbol's rows; of every symbol by default, which is for tables of a few thousand rows.

        Returns
        -------
        pl.DataFrame
            One row per key, the newest known one, sorted by the key; empty where the table was never written.
        """
        return self.once(("known", spec.name, symbol, at), lambda: as_known(spec, self._rows(spec, symbol), at))

    def kept(self, name: Key, specs: tuple[TableSpec, ...], make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """Return a frame made of some tables, made anew once one of them has a new version.

        Parameters
        ----------
        name
            What the frame is, beside the tables it is made of.
        specs
            Tables it is made of, with the decisions about forecasts where these are among them.
        """
        return self.kept_at(tuple(self._version(spec) for spec in specs), name, make)

    def kept_at(self, versions: tuple[int, ...], name: Key, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """Return a frame as `kept` does, for versions of its tables that the caller has looked up."""
        with self._lock:
            found = self._kept.get(name)
            if found is not None and found[0] == versions:
                self._kept.move_to_end(name)
                return found[1]
        made = make()
        with self._lock:
            self._kept[name] = versions, made
            self._kept.move_to_end(name)
            self._drop_oldest()
        return made

    def _version(self, spec: TableSpec) -> int:
        """Version of a table, -1 where it was never written."""
        return self.reader.version(spec) if self.reader.exists(spec) else -1

    def _drop_oldest(self) -> None:
        """Drop the frames used longest ago until the others are within both bounds; under the lock."""
        size = sum(frame.estimated_size() for _, frame in self._kept.values())
        while len(self._kept) > 1 and (len(self._kept) > self._most or size > self._most_bytes):
            _, (_, dropped) = self._kept.popitem(last=False)
            size -= dropped.estimated_size()

    def _rows(self, spec: TableSpec, symbol: str | None) -> pl.DataFrame:
        """Every row of a symbol, or of all, whenever it was known."""
        if self._version(spec) < 0:
            return spec.empty()
        where = None if symbol is None else pl.col("symbol") == symbol
        versioned = (spec, FORECAST_DECISIONS) if spec.withdrawable else (spec,)
        return self.kept((spec.name, symbol), versioned, lambda: self.reader.read(spec, where=where))


class _TablesOfAnswer(KnownTables):
    """Tables of one answer, over the rows that all answers share."""

    def __init__(self, shared: KnownTables) -> None:
        super().__init__(shared.reader)
        self._shared = shared
        self._versions: dict[str, int] = {}
        self._made: dict[Key, pl.DataFrame] = {}

    def for_one_answer(self) -> KnownTables:
        return self

    def once(self, name: Key, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def kept(self, name: Key, specs: tuple[TableSpec, ...], make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        return self._shared.kept_at(tuple(self._version(spec) for spec in specs), name, make)

    def _version(self, spec: TableSpec) -> int:
        if spec.name not in self._versions:
            self._versions[spec.name] = super()._version(spec)
        return self._versions[spec.name]


def as_known(spec: TableSpec, rows: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """Return the rows that were known at an instant: of several for one key the newest known one, sorted by the key.

    Examples
    --------
    >>> from datetime import UTC
    >>> from lake.sources import tiny_market
    >>> from lake.tables import BARS
    >>> bars = tiny_market(["AAA"], sessions=5, seed=1)
    >>> as_known(BARS, bars, datetime(2012, 12, 27, 21, tzinfo=UTC)).height
    3
    """
    known = rows.filter(was_known(at))
    return newest_known(known, spec.key) if spec.restates else known.sort(spec.key)


def was_known(at: datetime) -> pl.Expr:
    """Whether a row was known at an instant with a zone; a row known exactly then was."""
    return pl.col("known_time") <= require_utc(at)
