"""The only writer of Delta tables.

Durable: rows and log are on disk before a write returns. Idempotent: a batch that is sent twice adds nothing.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction

from lake.disk import file_lock, flush
from lake.errors import DamagedTableError
from lake.report import Report
from lake.spec import TableSpec
from lake.store import commits, delta_log, snapshots
from lake.store.delta_schema import (
    HOOKS,
    add_columns,
    declare,
    delta_schema,
    lacking_columns,
    partitions,
    require_columns,
)
from lake.store.files import DataFile, joinable, removals, without_digest, write_files
from lake.store.merge import new_or_restated
from lake.store.reading import LakeReader
from lake.store.snapshots import KEY, RESTATES, Handle, TableSnapshot

CLEAN_UP = "delta.enableExpiredLogCleanup"
"""Property, off in every table: Delta's own clean-up knows of no version in use; `lake.care.maintenance` does it."""
REPAIRED = "quantlake.repaired"
"""Property with the time of the last repair."""
MANY_FILES = 16
TARGET_BYTES = 32 * 1024**2
"""A compacted file of this size is left alone from then on."""


@dataclass(frozen=True)
class Lake(LakeReader):
    """The tables under one folder, for reading and writing.

    Parameters
    ----------
    root, verifies
        As for `LakeReader`, which has the methods that read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from lake.sources import tiny_market
    >>> from lake.store import Lake
    >>> from lake.tables import BARS
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> report = lake.merge(BARS, tiny_market(["AAA", "BBB"], sessions=5, seed=1))
    >>> report.added, report.version
    (10, 1)
    """

    def append(self, spec: TableSpec, frame: pl.DataFrame, *, batch_id: str) -> Report:
        """Add rows as they were received, once per batch.

        The batch id is part of the commit, so a batch that is sent again after a crash between commit and
        acknowledgement adds nothing.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lake.sources import as_received, tiny_market
        >>> from lake.store import Lake
        >>> from lake.tables import RAW_BARS
        >>> lake = Lake(Path(tempfile.mkdtemp()))
        >>> rows = as_received(tiny_market(["AAA"], sessions=5, seed=1), batch_id="monday")
        >>> lake.append(RAW_BARS, rows, batch_id="monday").added
        5
        >>> again = lake.append(RAW_BARS, rows, batch_id="monday")
        >>> again.added, again.details["reason"]
        (0, 'batch monday is already stored')
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
        """Add the rows that are new or restate a stored one; see `lake.store.new_or_restated`.

        Nothing is ever changed or deleted: a restatement is a further row with a later `known_time`.

        Raises
        ------
        ConflictError
            If two rows of one key contradict each other and nothing says which of them was known later.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lake.sources import tiny_market
        >>> from lake.store import Lake
        >>> from lake.tables import BARS
        >>> lake, bars = Lake(Path(tempfile.mkdtemp())), tiny_market(["AAA"], sessions=5, seed=1)
        >>> lake.merge(BARS, bars).added, lake.merge(BARS, bars).added
        (5, 0)
        """
        started = time.perf_counter()
        rows = spec.conform(frame).unique(maintain_order=True)
        with self.writing(spec) as handle:
            fresh = new_or_restated(spec, self._sharing_keys(spec, handle.snapshot(), rows), rows)
            if fresh.height:
                self._commit(spec, handle, write_files(self.path(spec), spec, fresh))
        report = self.report(spec, added=fresh.height, started=started)
        return report if fresh.height else report.with_details(reason="every row is already stored")

    def merge_unstored(self, spec: TableSpec, frame: pl.DataFrame) -> Report:
        """Add the rows whose key is not stored yet; what is stored stays, whatever is computed for it today.

        It is for decisions, which were in force as they were made.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lake.sources import tiny_market
        >>> from lake.tables import BARS
        >>> lake, bars = Lake(Path(tempfile.mkdtemp())), tiny_market(["AAA"], sessions=5, seed=1)
        >>> lake.merge(BARS, bars.head(3)).added
        3
        >>> lake.merge_unstored(BARS, bars.with_columns(pl.col("close") + 1)).added
        2
        """
        if self.exists(spec):
            frame = frame.join(self.read(spec).select(spec.key), on=list(spec.key), how="anti")
        return self.merge(spec, frame)

    def lacks_columns(self, spec: TableSpec) -> bool:
        """Whether a stored table was made before some columns were declared that its next write does not add.

        They may be null, and the table is to be made again with them: see `rebuild`. Columns that it gains in place
        (`lake.spec.TableSpec.gains_in_place`) are no reason to.
        """
        if not self.exists(spec):
            return False
        with self._handle(spec).table() as table:
            lacking = lacking_columns(spec, table)
        return bool(lacking) and not spec.gains_in_place(lacking)

    def rebuild(self, spec: TableSpec, frames: Iterable[pl.DataFrame]) -> Report:
        """Replace all rows of a table that lacks columns by rows that have them, in one commit.

        It is for a table that follows from others. Versions before it keep the rows they had, so what was made from
        them can be made again.

        Parameters
        ----------
        frames
            Every row of the table, in frames that share no row.

        Raises
        ------
        SchemaError
            If the table differs in more than columns that it lacks.
        """
        started, rows = time.perf_counter(), 0
        with self.writing(spec, may_lack_columns=True) as handle:
            files: list[DataFile] = []
            for frame in frames:
                whole = spec.conform(frame)
                files += write_files(self.path(spec), spec, whole)
                rows += whole.height
            self._commit(spec, handle, files, replaces_all=True)
        return self.report(spec, added=rows, started=started)

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

    def lock(self, spec: TableSpec) -> AbstractContextManager[None]:
        """Hold the write lock of a table, whether the table can be opened or not."""
        return file_lock(self.root / f".{spec.name}.lock", f"Table '{spec.name}'")

    @contextmanager
    def writing(self, spec: TableSpec, *, may_lack_columns: bool = False) -> Iterator[Handle]:
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
            yield self._held(spec, may_lack_columns=may_lack_columns)

    def _held(self, spec: TableSpec, *, may_lack_columns: bool = False) -> Handle:
        handle = self._handle(spec)
        with handle.table() as table:
            lacking = lacking_columns(spec, table)
            if lacking and spec.gains_in_place(lacking):
                add_columns(spec, table)
            elif not (may_lack_columns and lacking):
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
        replaces_all: bool = False,
    ) -> None:
        """Put files that are on disk already into the table, in the place of others, or of all with their columns."""
        is_new = instead_of is None
        added = [
            AddAction(file.path, file.size_bytes, file.partition, file.written_ms, is_new, file.statistics)
            for file in files
        ]
        removed = [] if instead_of is None else removals(instead_of, is_loss=is_loss)
        with handle.table() as table:
            table.create_write_transaction(
                [*added, *removed],
                "overwrite" if replaces_all else "append",
                delta_schema(spec) if replaces_all else table.schema(),
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
            files_of = delta_log.entries_of if is_ours else delta_log.written_by
            written = files_of(self.path(spec), version)
            folders = {file.parent for file in written} | (set() if is_ours else {self.path(spec), self.root})
            for path in [*written, *sorted(folders, reverse=True)]:
                if path.exists():
                    flush(path)
            commits.record(self.path(spec), version)
            handle.durable = version
