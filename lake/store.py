"""Delta tables, and their only writer.

Durable: rows and log are flushed to disk before success is said. Idempotent: a batch sent twice adds nothing.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError as DeltaTableNotFoundError
from filelock import FileLock, Timeout

from lake import delta_log
from lake.clock import require_utc
from lake.durable import flush
from lake.errors import NotReadyError, TableNotFoundError
from lake.merging import find_news
from lake.report import Report
from lake.settings import Settings, settings
from lake.spec import TableSpec

YEAR = "year"
"""Partition column of the files; it repeats `event_time` and is no column of any table."""
KEY, RESTATES = "quantlake.key", "quantlake.restates"
"""Properties every table carries in its own metadata, so that a reader without our code can ask it as of a time."""
LOCK_SECONDS = 120.0


@dataclass(frozen=True)
class StoredTable:
    """A table as its own metadata describes it, without its spec."""

    name: str
    version: int
    key: tuple[str, ...]
    restates: bool
    files: tuple[str, ...]
    schema: pa.Schema


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
        return bool(DeltaTable.is_deltatable(str(self.path(spec))))

    def version(self, spec: TableSpec) -> int:
        """Version of the newest commit."""
        return int(self._table(spec).version())

    def versions(self, specs: Sequence[TableSpec]) -> dict[str, int]:
        """Versions of several tables, by name: what a training run or a forecast records about its data."""
        return {spec.name: self.version(spec) for spec in specs}

    def files(self, spec: TableSpec, version: int | None = None) -> list[str]:
        """Parquet files that make up one version of the table, by default the newest."""
        return _paths(self._table(spec, version))

    def stored(self) -> list[StoredTable]:
        """Every table in the lake, by name, with what its metadata says about its key."""
        folders = sorted(path.parent for path in self.root.glob("*/_delta_log"))
        return [
            _describe(DeltaTable(str(folder)), folder.name)
            for folder in folders
            if DeltaTable.is_deltatable(str(folder))
        ]

    def scan(self, spec: TableSpec, *, version: int | None = None) -> pl.LazyFrame:
        """Every stored row, restated ones beside those they replace, as a lazy frame in the table's columns."""
        return _scan(spec, self.files(spec, version))

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

    def changes(self, spec: TableSpec, since_version: int, until_version: int | None = None) -> pl.DataFrame | None:
        """The rows that were added after one version, read from their own files only.

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
            in between cannot be told by added rows: its log or its files were cleaned up, the table was repaired, or
            it has no such versions. Read the whole table then.
        """
        newest = self.version(spec)
        until = newest if until_version is None else until_version
        if not -1 <= since_version <= until <= newest:
            return None
        files = delta_log.files_of_new_rows(self.path(spec), since_version, until)
        if files is None:
            return None
        return _scan(spec, [str(file) for file in files]).collect()

    def append(self, spec: TableSpec, frame: pl.DataFrame, *, batch_id: str) -> Report:
        """Add rows as they were received, once per batch.

        The batch id travels in the commit itself, so a batch re-sent after a crash between commit and
        acknowledgement adds nothing.
        """
        started = time.perf_counter()
        rows = spec.conform(frame)
        with self._writing(spec):
            if self._table(spec).transaction_version(batch_id) is not None:
                return self.report(spec, started=started).having(reason=f"batch {batch_id} is already stored")
            self._commit(spec, rows, batch_id=batch_id)
        return self.report(spec, added=rows.height, started=started)

    def merge(self, spec: TableSpec, frame: pl.DataFrame) -> Report:
        """Add the rows that say something new; `lake.merging.find_news` says which those are.

        Nothing is ever changed or deleted: a restatement is a further row with a later `known_time`.

        Raises
        ------
        ConflictError
            If two rows of one key contradict each other and nothing says which of them was known later.
        """
        started = time.perf_counter()
        rows = spec.conform(frame).unique(maintain_order=True)
        with self._writing(spec):
            fresh = find_news(spec, self._sharing_keys(spec, rows), rows)
            if fresh.height:
                self._commit(spec, fresh)
        report = self.report(spec, added=fresh.height, started=started)
        return report if fresh.height else report.having(reason="every row is already stored")

    def report(self, spec: TableSpec, *, added: int = 0, started: float | None = None) -> Report:
        """Rows, version, and first and last event time of a table as it stands."""
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

    def _sharing_keys(self, spec: TableSpec, rows: pl.DataFrame) -> pl.DataFrame:
        stored = self.scan(spec)
        if "event_time" in spec.key and rows.height:
            stored = stored.filter(pl.col("event_time").is_between(rows["event_time"].min(), rows["event_time"].max()))
        return stored.join(rows.lazy().select(spec.key), on=list(spec.key), how="semi", nulls_equal=True).collect()

    @contextmanager
    def _writing(self, spec: TableSpec) -> Iterator[None]:
        """Hold the table alone; it exists, and all that an earlier writer committed is on disk."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f".{spec.name}.lock", timeout=LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout as error:
            raise NotReadyError(
                f"Table '{spec.name}' has been locked by another process for {LOCK_SECONDS:.0f} seconds, longer than "
                f"any write takes. Find the process that holds {lock.lock_file} and end it."
            ) from error
        try:
            if not self.exists(spec):
                self._create(spec)
            # A writer killed between its commit and its fsync left a version that nothing may rest on yet.
            self._make_durable(spec)
            yield
        finally:
            lock.release()

    def _create(self, spec: TableSpec) -> None:
        rows = _with_year(spec, spec.empty()).to_arrow()
        about = {column.name: {"comment": column.meaning, "unit": column.unit} for column in spec.columns}
        fields = [field.with_metadata(about.get(field.name, {})) for field in rows.schema]
        DeltaTable.create(
            str(self.path(spec)),
            Schema.from_arrow(pa.schema(fields)),
            partition_by=[YEAR] if spec.by_year else None,
            name=spec.name,
            description=spec.meaning,
            configuration={KEY: json.dumps(spec.key), RESTATES: json.dumps(spec.restates)},
            raise_if_key_not_exists=False,
        )

    def _commit(self, spec: TableSpec, rows: pl.DataFrame, *, batch_id: str | None = None) -> None:
        rows = rows.sort([name for name in ("symbol", "event_time", "known_time") if name in spec.names])
        properties = CommitProperties(app_transactions=[Transaction(batch_id, 1)]) if batch_id else None
        write_deltalake(
            str(self.path(spec)), _with_year(spec, rows).to_arrow(), mode="append", commit_properties=properties
        )
        self._make_durable(spec)

    def _make_durable(self, spec: TableSpec) -> None:
        """Flush the newest commit to disk: its data files, its log entry and checkpoint, and their folders."""
        folder, version = self.path(spec), self.version(spec)
        entries = sorted((folder / "_delta_log").glob(f"{version:020d}*"))
        logs = [entry.read_text(encoding="utf-8") for entry in entries if entry.suffix == ".json"]
        actions = [json.loads(line) for log in logs for line in log.splitlines()]
        data = [folder / unquote(action["add"]["path"]) for action in actions if "add" in action]
        pointers = [path for path in [folder / "_delta_log" / "_last_checkpoint"] if path.exists()]
        written = [*data, *entries, *pointers]
        folders = {file.parent for file in written} | {folder, self.root}
        for path in [*written, *sorted(folders, reverse=True)]:
            flush(path)

    def _table(self, spec: TableSpec, version: int | None = None) -> DeltaTable:
        try:
            return DeltaTable(str(self.path(spec)), version=version)
        except DeltaTableNotFoundError as error:
            raise TableNotFoundError(
                f"Table '{spec.name}' does not exist under {self.root} yet. Make it with `make demo`, or materialise "
                f"the asset '{spec.name}' in the Dagster UI."
            ) from error


def _scan(spec: TableSpec, files: list[str]) -> pl.LazyFrame:
    if not files:
        return spec.empty().lazy()
    return pl.scan_parquet(files, schema=spec.schema, glob=False, hive_partitioning=False)


def _paths(table: DeltaTable) -> list[str]:
    """Files of a table as the operating system names them; Delta writes a space or an accent as a code."""
    return [unquote(uri.removeprefix("file://")) for uri in table.file_uris()]


def _with_year(spec: TableSpec, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("event_time").dt.year().alias(YEAR)) if spec.by_year else rows


def _describe(table: DeltaTable, name: str) -> StoredTable:
    properties = table.metadata().configuration
    return StoredTable(
        name=name,
        version=int(table.version()),
        key=tuple(json.loads(properties.get(KEY, "[]"))),
        restates=bool(json.loads(properties.get(RESTATES, "false"))),
        files=tuple(_paths(table)),
        schema=pa.schema(table.schema().to_arrow()),
    )
