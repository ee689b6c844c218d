"""Delta tables: the only writer. Durable (on disk before success is said) and idempotent (a batch sent twice adds nothing)."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError as DeltaTableNotFoundError
from filelock import FileLock

from lake.clock import require_utc
from lake.errors import ConflictError, TableNotFoundError
from lake.report import Report
from lake.settings import Settings, settings
from lake.spec import TableSpec

YEAR = "year"


@dataclass(frozen=True)
class Lake:
    """The tables under one folder.

    Parameters
    ----------
    root
        Folder with one Delta table per name.
    """

    root: Path

    @classmethod
    def open(cls, configured: Settings | None = None) -> "Lake":
        """Return the lake of these settings, by default those of the environment."""
        return cls((configured or settings()).tables)

    def path(self, spec: TableSpec) -> Path:
        """Folder of a table."""
        return self.root / spec.name

    def exists(self, spec: TableSpec) -> bool:
        """Whether the table has ever been written."""
        return DeltaTable.is_deltatable(str(self.path(spec)))

    def version(self, spec: TableSpec) -> int:
        """Version of the newest commit."""
        return self._table(spec).version()

    def versions(self, specs: Sequence[TableSpec]) -> dict[str, int]:
        """Versions of several tables, by name: what a training run or a forecast records about its data."""
        return {spec.name: self.version(spec) for spec in specs}

    def files(self, spec: TableSpec, version: int | None = None) -> list[str]:
        """Parquet files that make up one version of the table."""
        return self._table(spec, version).file_uris()

    def scan(self, spec: TableSpec, *, version: int | None = None) -> pl.LazyFrame:
        """Every stored row, restated ones beside those they replace, as a lazy frame in the table's columns."""
        return pl.scan_delta(self._table(spec, version)).select(spec.names)

    def read(self, spec: TableSpec, *, where: pl.Expr | None = None, version: int | None = None) -> pl.DataFrame:
        """Every stored row, restated ones beside those they replace."""
        rows = self.scan(spec, version=version)
        return (rows if where is None else rows.filter(where)).collect()

    def read_as_of(
        self, spec: TableSpec, at: datetime, *, where: pl.Expr | None = None, version: int | None = None
    ) -> pl.DataFrame:
        """The table as it was known at an instant.

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
        """
        known = pl.col("known_time") <= require_utc(at)
        rows = self.read(spec, where=known if where is None else known & where, version=version)
        if spec.restates:
            rows = rows.sort("known_time", maintain_order=True).unique(list(spec.key), keep="last", maintain_order=True)
        return rows.sort(spec.key)

    def append(self, spec: TableSpec, frame: pl.DataFrame, *, batch_id: str) -> Report:
        """Add rows as they were received, once per batch.

        The batch id travels in the commit itself, so a batch re-sent after a crash between commit and
        acknowledgement adds nothing.
        """
        started = time.perf_counter()
        rows = spec.conform(frame)
        with self._lock(spec):
            if self.exists(spec) and self._table(spec).transaction_version(batch_id) is not None:
                return self.report(spec, started=started).having(reason=f"batch {batch_id} is already stored")
            self._commit(spec, rows, batch_id=batch_id)
        return self.report(spec, added=rows.height, started=started)

    def merge(self, spec: TableSpec, frame: pl.DataFrame) -> Report:
        """Add the rows that say something new.

        A row is new when its key is not stored, or, in a table that keeps restatements, when its values differ from
        the newest stored row of that key and it was known later. A row equal to what is stored adds nothing.

        Raises
        ------
        ConflictError
            If two rows of one key contradict each other and nothing says which of them was known later.
        """
        started = time.perf_counter()
        rows = spec.conform(frame)
        identity = [*spec.key, "known_time"] if spec.restates else [*spec.key]
        rows = rows.unique(maintain_order=True)
        if rows.select(identity).is_duplicated().any():
            example = rows.filter(rows.select(identity).is_duplicated()).select(identity).row(0, named=True)
            raise ConflictError(f"The batch for '{spec.name}' holds contradicting rows for {example}. Keep one of them.")
        with self._lock(spec):
            fresh = self._news(spec, rows) if self.exists(spec) else rows
            if fresh.height or not self.exists(spec):
                self._commit(spec, fresh)
        return self.report(spec, added=fresh.height, started=started)

    def report(self, spec: TableSpec, *, added: int = 0, started: float | None = None) -> Report:
        """Rows, versions and first and last event time of a table as it stands."""
        counted = self.scan(spec).select(
            pl.len().alias("rows"),
            pl.col("event_time").min().alias("first"),
            pl.col("event_time").max().alias("last"),
        )
        rows, first, last = counted.collect().row(0)
        return Report(
            name=spec.name,
            rows=rows,
            added=added,
            version=self.version(spec),
            first=first,
            last=last,
            seconds=0.0 if started is None else time.perf_counter() - started,
            skipped=added == 0,
        )

    def _news(self, spec: TableSpec, rows: pl.DataFrame) -> pl.DataFrame:
        key = list(spec.key)
        low, high = rows["event_time"].min(), rows["event_time"].max()
        stored = self.read(spec, where=pl.col("event_time").is_between(low, high)) if rows.height else spec.empty()
        newest = stored.sort("known_time").unique(key, keep="last", maintain_order=True)
        both = rows.join(newest, on=key, how="left", suffix="_stored", nulls_equal=True, coalesce=True)
        values = [name for name in spec.names if name not in {*key, "known_time"}]
        differs = pl.any_horizontal(
            pl.lit(value=False), *[pl.col(name).ne_missing(pl.col(f"{name}_stored")) for name in values]
        )
        is_new = pl.col("known_time_stored").is_null()
        if spec.restates:
            is_later = pl.col("known_time") > pl.col("known_time_stored")
            clash = both.filter(~is_new & differs & (pl.col("known_time") == pl.col("known_time_stored")))
            fresh = both.filter(is_new | (differs & is_later))
        else:
            clash = both.filter(~is_new & differs)
            fresh = both.filter(is_new)
        if clash.height:
            example = clash.select(key).row(0, named=True)
            changed = [n for n in values if not clash.head(1).select(pl.col(n).eq_missing(pl.col(f"{n}_stored"))).item()]
            raise ConflictError(
                f"{clash.height} rows contradict what table '{spec.name}' holds, first {example} in {', '.join(changed)}. "
                "A restatement needs a later known_time."
            )
        return fresh.select(spec.names)

    def _commit(self, spec: TableSpec, rows: pl.DataFrame, *, batch_id: str | None = None) -> None:
        before = set(self.files(spec)) if self.exists(spec) else set()
        rows = rows.sort([name for name in ("symbol", "event_time") if name in spec.names])
        if spec.by_year:
            rows = rows.with_columns(pl.col("event_time").dt.year().alias(YEAR))
        properties = CommitProperties(app_transactions=[Transaction(batch_id, 1)]) if batch_id else None
        write_deltalake(
            str(self.path(spec)),
            rows.to_arrow(),
            mode="append",
            partition_by=[YEAR] if spec.by_year else None,
            commit_properties=properties,
            description=spec.meaning,
        )
        self._make_durable(spec, before)

    def _make_durable(self, spec: TableSpec, before: set[str]) -> None:
        table = self._table(spec)
        log = self.path(spec) / "_delta_log"
        written = [Path(uri.removeprefix("file://")) for uri in table.file_uris() if uri not in before]
        written.append(log / f"{table.version():020d}.json")
        folders = {file.parent for file in written} | {self.path(spec), self.root}
        for path in [*written, *folders]:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _lock(self, spec: TableSpec) -> FileLock:
        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / f".{spec.name}.lock", timeout=120)

    def _table(self, spec: TableSpec, version: int | None = None) -> DeltaTable:
        try:
            return DeltaTable(str(self.path(spec)), version=version)
        except DeltaTableNotFoundError as error:
            raise TableNotFoundError(
                f"Table '{spec.name}' does not exist under {self.root} yet. Make it with `make demo`, or materialise "
                f"the asset '{spec.name}' in the Dagster UI."
            ) from error
