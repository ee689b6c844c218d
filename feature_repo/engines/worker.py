"""What runs on a Spark worker: the bars of a bucket of symbols in, files of feature rows out. No Spark in here."""

import copyreg
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pyarrow as pa

from feature_repo.catalog import GROUPS, group_of
from feature_repo.compute.kernel import Kernel
from feature_repo.engines.failures import FeatureError, compute_or_explain, reason, tell
from feature_repo.spec import FeatureGroup
from lake.spec import INSTANT
from lake.tails import newest_known

STAGED = "path string, year int, rows long"
"""What the function returns for each file it wrote, as Spark declares it."""
INSTANTS = ("event_time", "known_time")

# A compiled function cannot travel; the worker finds or compiles its own.
copyreg.pickle(Kernel, lambda kernel: (Kernel, (kernel.python,)))


@dataclass(frozen=True)
class Task:
    """Everything a worker needs beside its bucket; it travels there inside the function.

    Parameters
    ----------
    group
        Name of a group of the catalog, which the worker has as well; or the group itself.
    market
        Bars of the index in the columns of the bucket: context for all symbols, shipped once.
    folder
        Where the files go; driver and workers see it at the same path.
    run
        Names this run among all others.
    """

    group: str | FeatureGroup
    market: pl.DataFrame
    folder: str
    run: str

    @classmethod
    def of(cls, group: FeatureGroup, market: pl.DataFrame, folder: Path) -> "Task":
        """Describe the computation of a group."""
        return cls(group.name if group in GROUPS else group, market, str(folder), uuid4().hex)


class _InFlight:
    """Counts the functions that run in this process, so that nobody takes it down under them."""

    def __init__(self) -> None:
        self._count, self._ended, self._changed = 0, set[str](), threading.Condition()

    @contextmanager
    def one(self, run: str) -> Iterator[None]:
        """Count one function of a run until it returns; a run that has ended starts no more of them."""
        with self._changed:
            if run in self._ended:
                raise RuntimeError(tell("The run has ended."))
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def end(self, run: str) -> None:
        """Let a run start no further function here; Spark stops a failed job's other tasks only between functions."""
        with self._changed:
            self._ended.add(run)

    def wait(self, seconds: float) -> bool:
        """Wait until none runs; whether that came true in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, seconds)


IN_FLIGHT = _InFlight()


def compute_bucket(task: Task, bucket: pa.Table) -> pa.Table:
    """Compute the features of some symbols and write them to files, one per year.

    Returns
    -------
    pa.Table
        One row per file, as `STAGED` declares. A file no returned row names does not count: a worker may have been
        lost after it had written it.

    Raises
    ------
    RuntimeError
        Whose message holds one sentence with feature and symbol; see `failures.told`.
    """
    with IN_FLIGHT.one(task.run):
        group = group_of(task.group) if isinstance(task.group, str) else task.group
        try:
            rows = compute_or_explain(_known(bucket, task.market), group)
            return pa.Table.from_pylist(list(_stage(rows, Path(task.folder))), schema=_schema())
        except FeatureError as error:
            raise RuntimeError(tell(str(error))) from None
        except Exception as error:
            raise RuntimeError(tell(f"A Spark worker cannot handle its bucket of bars: {reason(error)}.")) from error


def _known(bucket: pa.Table, market: pl.DataFrame) -> pl.DataFrame:
    """Keep the newest row of each key, as `Lake.read_as_of` does; later ones were left out when Spark read them."""
    own: Any = pl.from_arrow(bucket.select(market.columns))
    rows: pl.DataFrame = pl.concat([own.with_columns(pl.col(INSTANTS).cast(INSTANT)), market])
    return newest_known(rows)


def _stage(rows: pl.DataFrame, folder: Path) -> Iterator[dict[str, object]]:
    for (year,), part in rows.group_by(pl.col("event_time").dt.year(), maintain_order=True):
        path = folder / f"{year}-{uuid4().hex}.parquet"
        part.write_parquet(path, compression="lz4", statistics=False)
        yield {"path": str(path), "year": year, "rows": part.height}


def _schema() -> pa.Schema:
    return pa.schema([("path", pa.string()), ("year", pa.int32()), ("rows", pa.int64())])
