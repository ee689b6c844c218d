"""Features on any Spark: the same functions over buckets of symbols, read from Delta, stored by the same writer."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pyarrow as pa
from filelock import FileLock, Timeout

from feature_repo.engines.panel import bar_columns
from feature_repo.engines.sessions import Session, explain_missing_delta
from feature_repo.engines.worker import STAGED, Task, compute_bucket
from feature_repo.spec import FeatureGroup
from lake.clock import require_utc
from lake.errors import FeatureError, NotReadyError
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import BARS

ROWS_PER_BUCKET = 150_000
"""Bars of a bucket: some 100 MB on a worker with what it makes of them, and enough to be worth the way there."""
FEWEST = 8
ROWS_AT_ONCE = 2_000_000
"""Feature rows of one frame that comes back, and so of one commit: years of files are read until there are as many."""


@dataclass(frozen=True)
class SparkEngine:
    """Computes on the workers of a Spark session.

    Parameters
    ----------
    session
        See `feature_repo.engines.sessions`.
    buckets
        Into how many parts the symbols are hashed; by default one per `ROWS_PER_BUCKET` bars, and at least `FEWEST`.
    rows_at_once
        Feature rows that come back in one frame, as far as whole files allow.
    """

    session: Session
    buckets: int | None = None
    rows_at_once: int = ROWS_AT_ONCE

    def compute(
        self, lake: Lake, group: FeatureGroup, at: datetime, *, version: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a group year by year; see `FeatureEngine.compute`.

        Workers write their rows to files below the lake, which are read here and deleted in the end: what comes back
        through Spark is one row per file, and memory holds one frame.
        """
        version = lake.version(BARS) if version is None else version
        with _staging(lake, group.table) as folder:
            staged = self._run(lake, group, at, version, folder)
            for files in self._frames(staged):
                yield pl.read_parquet(files).select(group.table.names).sort("symbol", "event_time")

    def _run(self, lake: Lake, group: FeatureGroup, at: datetime, version: int, folder: Path) -> pl.DataFrame:
        """Compute all buckets; which files they wrote."""
        rows = lake.scan(BARS, version=version).select(pl.len()).collect().item()
        if not rows:
            return pl.DataFrame(schema={"path": pl.String, "year": pl.Int32, "rows": pl.Int64})
        index = lake.read_as_of(BARS, at, where=pl.col("symbol") == lake.market.index, version=version)
        task = Task.of(group, index.select(bar_columns(group)), folder, lake.market)

        def compute(bucket: pa.Table) -> pa.Table:
            return compute_bucket(task, bucket)

        buckets = self.buckets or max(FEWEST, -(-rows // ROWS_PER_BUCKET))
        try:
            bucketed = self._bars(lake, at, version).selectExpr(
                *bar_columns(group), f"pmod(hash(symbol), {buckets}) AS bucket"
            )
            answer: Any = pl.from_arrow(bucketed.groupBy("bucket").applyInArrow(compute, STAGED).toArrow())
        except Exception as error:
            raise self._explained(error, group) from error
        files: pl.DataFrame = answer
        if failures := sorted(files["failure"].drop_nulls()):
            raise FeatureError(failures[0])
        return files

    def _bars(self, lake: Lake, at: datetime, version: int) -> Any:
        """Bars of a version that were known at the instant, as a Spark frame; the index travels with the function."""
        spark, path = self.session.spark, str(lake.path(BARS))
        # Sail 0.7 finds no commit of a table whose path holds a space or an accent; its files it reads.
        is_odd = self.session.kind == "sail" and quote(path) != path
        if self.session.reads == "delta" and not is_odd:
            stored = spark.read.format("delta").option("versionAsOf", version).load(path)
        else:
            stored = spark.read.parquet(*lake.files(BARS, version))
        microseconds = round(require_utc(at).timestamp() * 1_000_000)
        is_known = f"known_time <= timestamp_micros({microseconds})"
        return stored.where(is_known).where(stored["symbol"] != lake.market.index)

    def _frames(self, staged: pl.DataFrame) -> Iterator[list[str]]:
        """Files of one year each, as many as make one frame."""
        ordered = staged.sort("year", "path").with_columns(
            ((pl.col("rows").cum_sum().over("year") - pl.col("rows")) // self.rows_at_once).alias("part")
        )
        for part in ordered.partition_by("year", "part", maintain_order=True):
            yield part["path"].to_list()

    def _explained(self, error: Exception, group: FeatureGroup) -> Exception:
        if "DATA_SOURCE_NOT_FOUND" in str(error):
            return NotReadyError(explain_missing_delta())
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return FeatureError(
            f"Spark ({self.session.kind}) did not compute the features '{group.name}': {first} Its own log says more; "
            "QUANTLAKE_FEATURE_ENGINE=local computes the same in this process."
        )


@contextmanager
def _staging(lake: Lake, table: TableSpec) -> Iterator[Path]:
    """Hold an empty folder for one run; what an earlier one that was killed left in it is deleted first."""
    folder = lake.root / ".staged" / table.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise NotReadyError(
            f"Another run computes '{table.name}' on Spark in this lake now. Wait for it, or end the process that "
            f"holds {lock.lock_file}."
        ) from error
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
