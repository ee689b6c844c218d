"""Delta tables, and their only writer.

Durable: rows and log are flushed to disk before success is said. Idempotent: a batch sent twice adds nothing.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction

from lake.clock import require_utc
from lake.disk import file_lock, flush
from lake.errors import DamagedTableError
from lake.report import Report
from lake.settings import Settings, settings
from lake.spec import TableSpec
from lake.store import commits, delta_log, snapshots
from lake.store.delta_schema import HOOKS, declare, delta_schema, partitions, require_columns
from lake.store.digests import require_intact
from lake.store.files import DataFile, joinable, removals, without_digest, write_files
from lake.store.merge import new_or_restated, newest_known
from lake.store.snapshots import KEY, RESTATES, Handle, StoredTable, TableSnapshot
from lake.store.withdrawals import without_withdrawn

CLEAN_UP = "delta.enableExpiredLogCleanup"
"""Property, off in every table: Delta's own clean-up knows of no version in use; `lake.care.maintenance` does it."""
REPAIRED = "quantlake.repaired"
"""Property with the time of the last repair."""
MANY_FILES = 16
TARGET_BYTES = 32 * 1024**2
"""A compacted file of this size is left alone from then on."""


@dataclass(frozen=True)
class Lake:
    """The tables under one folder.

    Parameters
    ----------
    root
        Folder with one Delta table per name.
    verifies
        Whether the bytes of a data file are verified before its rows are read. Only who compares all that was read
        with a record of its own, as the replay of forecasts does, turns it off: it then says which rows changed.
    """

    root: Path
    verifies: bool = True

    @classmethod
    def open(cls, configured: Settings | None = None) -> "Lake":
        """Return the lake of these settings, by default those of the environment."""
        return cls((configured or settings()).tables)

    def path(self, spec: TableSpec) -> Path:
        """Folder of a table."""
        return (self.root / spec.name).absolute()

    def exists(self, spec: TableSpec) -> bool:
        """Whether the table has ever been written; making it, when cut off, leaves a log that is none yet."""
        return bool(DeltaTable.is_deltatable(str(self.path(spec))))

    def version(self, spec: TableSpec) -> int:
        """Version of the newest commit."""
        return self._newest(spec).version

    def versions(self, specs: Sequence[TableSpec]) -> dict[str, int]:
        """Versions of several tables, by name: what a training run or a forecast records about its data."""
        return {spec.name: self.version(spec) for spec in specs}

    def files(self, spec: TableSpec, version: int | None = None) -> list[str]:
        """Parquet files that make up one version of the table, by default the newest; their bytes are verified."""
        self._require_intact(spec, paths := self.contents(spec, version).paths)
        return paths

    def contents(self, spec: TableSpec, version: int | None = None) -> TableSnapshot:
        """The files of one version, by default the newest, with what the log says is in them.

        Their bytes are not looked at; `files`, and all that reads rows, verifies them.
        """
        if version is None:
            return self._newest(spec)
        return snapshots.read(self.path(spec), snapshots.opened(self.path(spec), version))

    def folders(self) -> list[Path]:
        """Folders of the tables in the lake, by name; a table that is damaged is one of them."""
        logs = sorted(self.root.glob("*/_delta_log"))
        return [log.parent for log in logs if DeltaTable.is_deltatable(str(log.parent))]

    def stored(self) -> list[StoredTable]:
        """Every table in the lake, by name, with what its metadata says about its key."""
        return [snapshots.describe(snapshots.opened(folder), folder) for folder in self.folders()]

    def scan(self, spec: TableSpec, *, version: int | None = None) -> pl.LazyFrame:
        """Every stored row, restated ones beside those they replace, as a lazy frame in the table's columns.

        Forecasts that were withdrawn are left out; `scan_all` has them.
        """
        return without_withdrawn(self, spec, self.scan_all(spec, version=version))

    def scan_all(self, spec: TableSpec, *, version: int | None = None) -> pl.LazyFrame:
        """Every stored row as `scan` gives it, those of withdrawn forecasts among them."""
        return self._scan(spec, self.contents(spec, version).paths)

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
        return newest_known(rows, spec.key) if spec.restates else rows.sort(spec.key)

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
        return self._scan(spec, [str(file) for file in files]).collect()

    def append(self, spec: TableSpec, frame: pl.DataFrame, *, batch_id: str) -> Report:
        """Add rows as they were received, once per batch.

        The batch id travels in the commit itself, so a batch re-sent after a crash between commit and
        acknowledgement adds nothing.
        """
        started = time.perf_counter()
        rows = spec.conform(frame)
        with self.writing(spec) as handle:
            with handle.table() as table:
                is_stored = table.transaction_version(batch_id) is not None
            if is_stored:
                return self.report(spec, started=started).with_details(reason=f"batch {batch_id} is already stored")
            self._commit(spec, handle, write_files(self.path(spec), spec, rows), batch_id=batch_id)
        return self.report(spec, added=rows.height, started=started)

    def merge(self, spec: TableSpec, frame: pl.DataFrame) -> Report:
        """Add the rows that say something new; `lake.store.merge.new_or_restated` says which those are.

        Nothing is ever changed or deleted: a restatement is a further row with a later `known_time`.

        Raises
        ------
        ConflictError
            If two rows of one key contradict each other and nothing says which of them was known later.
        """
        started = time.perf_counter()
        rows = spec.conform(frame).unique(maintain_order=True)
        with self.writing(spec) as handle:
            fresh = new_or_restated(spec, self._sharing_keys(spec, handle.snapshot(), rows), rows)
            if fresh.height:
                self._commit(spec, handle, write_files(self.path(spec), spec, fresh))
        report = self.report(spec, added=fresh.height, started=started)
        return report if fresh.height else report.with_details(reason="every row is already stored")

    def compact(
        self,
        spec: TableSpec,
        *,
        at_least: int = MANY_FILES,
        target_bytes: int = TARGET_BYTES,
        is_for_digests: bool = False,
    ) -> Report:
        """Join small files, year by year; the rows stay the same, and so does every version before.

        The joined files stay on disk until `lake.care.maintenance.vacuum` finds that no version in use names them.

        Parameters
        ----------
        at_least
            Years with fewer small files than this are left alone.
        target_bytes
            About how large a joined file becomes; files of that size are not touched again.
        is_for_digests
            Write the files anew whose name carries no digest, however many and large, and no others.
        """
        started = time.perf_counter()
        self.version(spec)  # raises where there is no such table; holding it for writing would make it
        with self.writing(spec) as handle:
            files = handle.snapshot().files
            groups = (
                without_digest(files, target_bytes=target_bytes)
                if is_for_digests
                else joinable(files, at_least=at_least, target_bytes=target_bytes)
            )
            for group in groups:
                self._rewrite(spec, handle, group, self._scan(spec, group["path"].to_list()).collect())
        joined = sum(group.height for group in groups)
        report = self.report(spec, started=started).with_details(files_joined=joined, files_written=len(groups))
        reason = "every file has a digest" if is_for_digests else f"no year has {at_least} small files"
        return report if groups else report.with_details(reason=reason)

    def checkpoint(self, spec: TableSpec) -> None:
        """Sum up the log so far in one durable file, so that opening the table needs no entry before it."""
        with self.writing(spec) as handle:
            with handle.table() as table:
                if table.metadata().configuration.get(CLEAN_UP) != "false":  # made by an earlier version of this module
                    declare(table, {CLEAN_UP: "false"})
            with handle.table() as table:
                table.create_checkpoint()
            handle.durable = None
            self._make_durable(spec, handle)

    def replace_damaged(self, spec: TableSpec, damaged: pl.DataFrame, rows: pl.DataFrame | None) -> None:
        """Replace damaged files by their rows, where known from elsewhere; the caller holds the `lock` of the table."""
        if rows is None:
            self._commit(spec, self._held(spec), [], instead_of=damaged, is_loss=True)
        else:
            self._rewrite(spec, self._held(spec), damaged, rows)

    def mark_repaired(self, spec: TableSpec, last: int, newest: int) -> None:
        """Fill the numbers of lost versions, those after `last` to `newest`, with marks, and add one more.

        No reader takes a mark for the version that was lost: reading it by its number is refused. The caller holds
        the table by `lock`.
        """
        handle = self._held(spec)
        with handle.table() as table:
            before = snapshots.gone(table.metadata().configuration)
        ranges = json.dumps(before if [last + 1, newest] in before else [*before, [last + 1, newest]])
        while handle.snapshot().version <= newest:
            with handle.table() as table:
                declare(table, {REPAIRED: datetime.now(UTC).isoformat(), snapshots.GONE: ranges})
            self._make_durable(spec, handle)

    def report(self, spec: TableSpec, *, added: int = 0, started: float | None = None) -> Report:
        """Rows, version, and first and last event time of a table as it stands."""
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

    def lock(self, spec: TableSpec) -> AbstractContextManager[None]:
        """Let no other process write to a table meanwhile, whether it can be opened or not."""
        return file_lock(self.root / f".{spec.name}.lock", f"Table '{spec.name}'")

    @contextmanager
    def writing(self, spec: TableSpec) -> Iterator[Handle]:
        """Hold the lock of the table; it exists, and all that an earlier writer committed is on disk."""
        with self.lock(spec):
            if delta_log.unfinished(self.path(spec)).exists():
                raise DamagedTableError(
                    f"A repair of table '{spec.name}' was cut off, and a write now could pass for one that was lost. "
                    f"`quantlake lake repair {spec.name}` ends it."
                )
            if not self.exists(spec):
                self._create(spec)
            self._newest(spec)  # a log that lost its end would give a version number away twice
            yield self._held(spec)

    def _held(self, spec: TableSpec) -> Handle:
        handle = self._handle(spec)
        with handle.table() as table:
            require_columns(spec, table)
        # A writer killed between its commit and its fsync left a version that nothing may rest on yet.
        self._make_durable(spec, handle)
        return handle

    def _sharing_keys(self, spec: TableSpec, snapshot: TableSnapshot, rows: pl.DataFrame) -> pl.DataFrame:
        if "event_time" not in spec.key or not rows.height:
            stored = self._scan(spec, snapshot.paths)
        else:
            first, last = rows.select(pl.col("event_time").min(), pl.col("event_time").max().alias("last")).row(0)
            is_near = pl.col("event_time").is_between(first, last)
            stored = self._scan(spec, snapshot.between(first, last)).filter(is_near)
        return stored.join(rows.lazy().select(spec.key), on=list(spec.key), how="semi", nulls_equal=True).collect()

    def _create(self, spec: TableSpec) -> None:
        DeltaTable.create(
            str(self.path(spec)),
            delta_schema(spec),
            partition_by=partitions(spec),
            name=spec.name,
            description=spec.meaning,
            configuration={
                KEY: json.dumps(spec.key),
                RESTATES: json.dumps(spec.restates),
                CLEAN_UP: "false",
            },
            raise_if_key_not_exists=False,
        )

    def _rewrite(self, spec: TableSpec, handle: Handle, files: pl.DataFrame, rows: pl.DataFrame) -> None:
        self._commit(spec, handle, write_files(self.path(spec), spec, rows), instead_of=files)

    def _commit(
        self,
        spec: TableSpec,
        handle: Handle,
        files: Sequence[DataFile],
        *,
        batch_id: str | None = None,
        instead_of: pl.DataFrame | None = None,
        is_loss: bool = False,
    ) -> None:
        """Put files that are on disk already into the table, or in the place of others with the same rows."""
        is_new = instead_of is None
        added = [
            AddAction(file.path, file.size_bytes, file.partition, file.written_ms, is_new, file.statistics)
            for file in files
        ]
        removed = [] if instead_of is None else removals(instead_of, is_loss=is_loss)
        with handle.table() as table:
            table.create_write_transaction(
                [*added, *removed],
                "append",
                table.schema(),
                partitions(spec),
                commit_properties=CommitProperties(app_transactions=[Transaction(batch_id, 1)] if batch_id else None),
                post_commithook_properties=HOOKS,
            )
        self._make_durable(spec, handle, is_ours=True)

    def _make_durable(self, spec: TableSpec, handle: Handle, *, is_ours: bool = False) -> None:
        """Flush the newest commit: log entry and checkpoint, the data files where others wrote them, their folders.

        A data file that is gone is no reason to refuse: `lake.care.doctor` names it, and needs a commit to repair it.
        """
        version = handle.snapshot().version
        if handle.durable != version:
            told = delta_log.entries_of if is_ours else delta_log.written_by
            written = told(self.path(spec), version)
            folders = {file.parent for file in written} | (set() if is_ours else {self.path(spec), self.root})
            for path in [*written, *sorted(folders, reverse=True)]:
                if path.exists():
                    flush(path)
            commits.note(self.path(spec), version)
            handle.durable = version

    def _newest(self, spec: TableSpec) -> TableSnapshot:
        """The newest version, once its log was compared with what is known to be committed."""
        return self._handle(spec).require_whole()

    def _handle(self, spec: TableSpec) -> Handle:
        return snapshots.handle(self.path(spec), lambda: snapshots.opened(self.path(spec)))

    def _scan(self, spec: TableSpec, files: list[str]) -> pl.LazyFrame:
        if not files:
            return spec.empty().lazy()
        self._require_intact(spec, files)
        return pl.scan_parquet(files, schema=spec.schema, glob=False, hive_partitioning=False)

    def _require_intact(self, spec: TableSpec, files: list[str]) -> None:
        if self.verifies:
            require_intact(spec.name, files)
