"""Reading the tables of a lake: as they stand, as they were known at an instant, and what was added since a version."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import polars as pl
from deltalake import DeltaTable

from lake.clock import require_utc
from lake.market import Market, market_of
from lake.report import Report
from lake.settings import Settings, settings
from lake.spec import TableSpec
from lake.store import delta_log, snapshots
from lake.store.digests import require_intact
from lake.store.files import scan_files
from lake.store.merge import newest_known
from lake.store.snapshots import Handle, StoredTable, TableSnapshot
from lake.store.withdrawals import without_withdrawn


@dataclass(frozen=True)
class LakeReader:
    """The tables under one folder, for reading; `lake.store.Lake` adds writing.

    Parameters
    ----------
    root
        Folder with one Delta table per name.
    verifies
        Whether the bytes of a data file are verified before its rows are read. The replay of forecasts turns it off: it
        compares what it reads with a record of its own, and then reports which rows changed.
    """

    root: Path
    verifies: bool = True

    @classmethod
    def open(cls, configured: Settings | None = None) -> Self:
        """Return the lake of these settings, by default those of the environment."""
        return cls((configured or settings()).tables)

    @property
    def market(self) -> Market:
        """The market whose tables these are, as the folder above them declares it."""
        return market_of(self.root.parent)

    def path(self, spec: TableSpec) -> Path:
        """Return the folder of a table."""
        return (self.root / spec.name).absolute()

    def exists(self, spec: TableSpec) -> bool:
        """Whether the table has ever been written; making it, when cut off, leaves a log that is none yet."""
        return bool(DeltaTable.is_deltatable(str(self.path(spec))))

    def version(self, spec: TableSpec) -> int:
        """Return the version of the newest commit."""
        return self._newest(spec).version

    def versions(self, specs: Sequence[TableSpec]) -> dict[str, int]:
        """Return the versions of several tables, by name: what a training run or a forecast records about its data."""
        return {spec.name: self.version(spec) for spec in specs}

    def files(self, spec: TableSpec, version: int | None = None) -> list[str]:
        """Return the Parquet files of one version of the table, by default the newest; their bytes are verified."""
        self._require_intact(spec, paths := self.contents(spec, version).paths)
        return paths

    def contents(self, spec: TableSpec, version: int | None = None) -> TableSnapshot:
        """Return the files of one version, by default the newest, with what the log says is in them.

        Their bytes are not looked at; `files`, and all that reads rows, verifies them.
        """
        if version is None:
            return self._newest(spec)
        return snapshots.read(self.path(spec), snapshots.opened(self.path(spec), version))

    def folders(self) -> list[Path]:
        """Return the folders of the tables in the lake, by name, those of damaged tables among them."""
        logs = sorted(self.root.glob("*/_delta_log"))
        return [log.parent for log in logs if DeltaTable.is_deltatable(str(log.parent))]

    def stored(self) -> list[StoredTable]:
        """Return every table in the lake, by name, as its own metadata describes it."""
        return [snapshots.describe(snapshots.opened(folder), folder) for folder in self.folders()]

    def scan(self, spec: TableSpec, *, version: int | None = None) -> pl.LazyFrame:
        """Return every stored row, restated ones beside those they replace, as a lazy frame in the table's columns.

        Forecasts that were withdrawn are left out; `scan_all` has them.
        """
        return without_withdrawn(self, spec, self.scan_all(spec, version=version))

    def scan_all(self, spec: TableSpec, *, version: int | None = None) -> pl.LazyFrame:
        """Return every stored row as `scan` does, those of withdrawn forecasts among them."""
        return self._scan(spec, self.contents(spec, version).paths)

    def read(self, spec: TableSpec, *, where: pl.Expr | None = None, version: int | None = None) -> pl.DataFrame:
        """Return every stored row, restated ones beside those they replace.

        Parameters
        ----------
        where
            Filter on any columns, e.g. ``pl.col("symbol") == "AAPL"``.
        version
            Delta version to read, by default the newest.

        Returns
        -------
        pl.DataFrame
            Rows in the table's columns, in no particular order; withdrawn forecasts are left out.

        Raises
        ------
        TableNotFoundError
            If the table has never been written.
        DamagedTableError
            If a file of the table is missing or was altered.

        Examples
        --------
        >>> import polars as pl
        >>> from lake.sources import tiny_market
        >>> from lake.tables import BARS
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lake.store import Lake
        >>> lake = Lake(Path(tempfile.mkdtemp()))
        >>> _ = lake.merge(BARS, tiny_market(["AAA", "BBB"], sessions=5, seed=1))
        >>> lake.read(BARS, where=pl.col("symbol") == "AAA").height
        5
        """
        rows = self.scan(spec, version=version)
        return (rows if where is None else rows.filter(where)).collect()

    def read_as_of(
        self, spec: TableSpec, at: datetime, *, where: pl.Expr | None = None, version: int | None = None
    ) -> pl.DataFrame:
        """Return the table as it was known at an instant.

        Rows with a later `known_time` are left out; of several rows for one key the newest known one is kept.

        Parameters
        ----------
        at
            Instant with a zone; a row known exactly then is included.
        where
            Further filter, applied before the choice among restatements, so it should only name key columns.
        version
            Delta version to read, by default the newest.

        Returns
        -------
        pl.DataFrame
            One row per key, sorted by the key.

        Examples
        --------
        >>> from datetime import UTC, datetime
        >>> from lake.sources import tiny_market
        >>> from lake.tables import BARS
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lake.store import Lake
        >>> lake = Lake(Path(tempfile.mkdtemp()))
        >>> _ = lake.merge(BARS, tiny_market(["AAA", "BBB"], sessions=5, seed=1))
        >>> lake.read_as_of(BARS, datetime(2012, 12, 28, 21, tzinfo=UTC)).height
        8
        """
        known = pl.col("known_time") <= require_utc(at)
        rows = self.read(spec, where=known if where is None else known & where, version=version)
        return newest_known(rows, spec.key) if spec.restates else rows.sort(spec.key)

    def changes(self, spec: TableSpec, since_version: int, until_version: int | None = None) -> pl.DataFrame | None:
        """Return the rows that were added after one version, read from their own files only.

        Parameters
        ----------
        since_version
            Version whose rows are already known; -1 for a reader that knows none.
        until_version
            Last version to look at, by default the newest.

        Returns
        -------
        pl.DataFrame or None
            Rows in the table's columns, in the order they were committed; a compaction adds none. None if the history
            in between is not only added rows: its log or its files were cleaned up, the table was repaired, or it has
            no such versions. Read the whole table then.

        Examples
        --------
        >>> from lake.sources import tiny_market
        >>> from lake.tables import BARS
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lake.store import Lake
        >>> lake = Lake(Path(tempfile.mkdtemp()))
        >>> version = lake.merge(BARS, tiny_market(["AAA"], sessions=5, seed=1)).version
        >>> _ = lake.merge(BARS, tiny_market(["BBB"], sessions=3, seed=1))
        >>> lake.changes(BARS, version)["symbol"].to_list()
        ['BBB', 'BBB', 'BBB']
        """
        newest = self.version(spec)
        until = newest if until_version is None else until_version
        if not -1 <= since_version <= until <= newest:
            return None
        files = delta_log.files_of_new_rows(self.path(spec), since_version, until)
        if files is None:
            return None
        return self._scan(spec, [str(file) for file in files]).collect()

    def report(self, spec: TableSpec, *, added: int = 0, started: float | None = None) -> Report:
        """Return rows, version, and first and last event time of a table as it stands."""
        snapshot = self._newest(spec)
        rows, first, last = snapshot.extent() or snapshots.count(self._scan(spec, snapshot.paths))
        return Report(
            name=spec.name,
            rows=rows,
            added=added,
            version=snapshot.version,
            first=first,
            last=last,
            seconds=0.0 if started is None else time.perf_counter() - started,
            skipped=added == 0,
        )

    def rows_by_year(self, spec: TableSpec) -> dict[int, int]:
        """Return how many rows are stored of each year of `event_time`, in UTC, restated ones among them.

        Where the files are by year the log knows, and no row is read.

        Raises
        ------
        TableNotFoundError
            If the table has never been written.

        Examples
        --------
        >>> from lake.sources import tiny_market
        >>> from lake.tables import BARS
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lake.store import Lake
        >>> lake = Lake(Path(tempfile.mkdtemp()))
        >>> _ = lake.merge(BARS, tiny_market(["AAA"], sessions=5, seed=1))
        >>> lake.rows_by_year(BARS)
        {2012: 5}
        """
        files = self._newest(spec).files
        if files.select(pl.any_horizontal(pl.col("rows", "year").has_nulls())).item():
            year = pl.col("event_time").dt.year().alias("year")
            counted = self._scan(spec, files["path"].to_list()).group_by(year).agg(pl.len().alias("rows")).collect()
        else:
            counted = files.group_by("year").agg(pl.col("rows").sum())
        return {int(year): int(rows) for year, rows in counted.sort("year").select("year", "rows").iter_rows()}

    def last_event(self, spec: TableSpec) -> datetime | None:
        """Return the newest event_time of a table; None where it has no rows, or was never written."""
        return self.report(spec).last if self.exists(spec) else None

    def known_until(self, spec: TableSpec) -> datetime | None:
        """Return the latest known_time of a table; None where it has no rows, or was never written."""
        if not self.exists(spec):
            return None
        latest: datetime | None = self.scan_all(spec).select(pl.col("known_time").max()).collect().item()
        return latest

    def _newest(self, spec: TableSpec) -> TableSnapshot:
        """Return the newest version, once its log was compared with the ledger of commits."""
        return self._handle(spec).require_complete()

    def _handle(self, spec: TableSpec) -> Handle:
        return snapshots.handle(self.path(spec), lambda: snapshots.opened(self.path(spec)))

    def _scan(self, spec: TableSpec, files: list[str]) -> pl.LazyFrame:
        if not files:
            return spec.empty().lazy()
        self._require_intact(spec, files)
        return scan_files(spec, files)

    def _require_intact(self, spec: TableSpec, files: list[str]) -> None:
        if self.verifies:
            require_intact(spec.name, files)
