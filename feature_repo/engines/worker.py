"""What runs on a Spark worker: the bars of a bucket of symbols in, files of feature rows out. No Spark in here."""

import copyreg
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pyarrow as pa

from feature_repo.catalog import PACKAGED, group_of
from feature_repo.compute.fitted import FittedKernel
from feature_repo.compute.kernel import Kernel
from feature_repo.engines.failures import compute_or_explain, reason
from feature_repo.spec import FeatureGroup
from lake.errors import FeatureError
from lake.market import Market
from lake.spec import INSTANT
from lake.store import newest_known

STAGED = "path string, year int, rows long, failure string"
"""What the function returns for each file it wrote, or once for a failure, as Spark declares it."""
INSTANTS = ("event_time", "known_time")

# A compiled function cannot travel; the worker finds or compiles its own.
copyreg.pickle(Kernel, lambda kernel: (Kernel, (kernel.python,)))
copyreg.pickle(FittedKernel, lambda kernel: (FittedKernel, (kernel.python, kernel.fit, kernel.expected, kernel.seed)))


@dataclass(frozen=True)
class Task:
    """Everything a worker needs beside its bucket; it travels there inside the function.

    Parameters
    ----------
    group
        Name of a group of this package, which the worker has as well; or the group itself.
    index
        Bars of the index in the columns of the bucket: context for all symbols, shipped once.
    folder
        Where the files go; driver and workers see it at the same path.
    market
        The market they are of.
    """

    group: str | FeatureGroup
    index: pl.DataFrame
    folder: str
    market: Market

    @classmethod
    def of(cls, group: FeatureGroup, index: pl.DataFrame, folder: Path, market: Market) -> "Task":
        """Describe the computation of a group."""
        return cls(group.name if group in PACKAGED else group, index, str(folder), market)


def compute_bucket(task: Task, bucket: pa.Table) -> pa.Table:
    """Compute the features of some symbols and write them to files, one per year.

    Nothing is raised: a failure is a row as well. A task that raises is tried again in vain on a cluster, and in a
    Spark inside this process the other tasks would go on after the driver has given up, and abort it at its end
    (github.com/lakehq/sail/issues/2471).

    Returns
    -------
    pa.Table
        One row per file, or one with the sentence of a failure, as `STAGED` declares. A file no returned row names
        does not count: a worker may have been lost after it had written it.
    """
    group = group_of(task.group) if isinstance(task.group, str) else task.group
    try:
        rows = compute_or_explain(_known(bucket, task.index), group, market=task.market)
        staged = list(_stage(rows, Path(task.folder)))
    except FeatureError as error:
        staged = [{"failure": str(error)}]
    except Exception as error:  # noqa: BLE001 - whatever it is, the driver tells it
        staged = [{"failure": f"A Spark worker cannot handle its bucket of bars: {reason(error)}."}]
    return pa.Table.from_pylist(staged, schema=_schema())


def _known(bucket: pa.Table, index: pl.DataFrame) -> pl.DataFrame:
    """Keep the newest row of each key, as `Lake.read_as_of` does; later ones were left out when Spark read them."""
    own: Any = pl.from_arrow(bucket.select(index.columns))
    rows: pl.DataFrame = pl.concat([own.with_columns(pl.col(INSTANTS).cast(INSTANT)), index])
    return newest_known(rows)


def _stage(rows: pl.DataFrame, folder: Path) -> Iterator[dict[str, object]]:
    for (year,), part in rows.group_by(pl.col("event_time").dt.year(), maintain_order=True):
        path = folder / f"{year}-{uuid4().hex}.parquet"
        part.write_parquet(path, compression="lz4", statistics=False)
        yield {"path": str(path), "year": year, "rows": part.height}


def _schema() -> pa.Schema:
    return pa.schema([("path", pa.string()), ("year", pa.int32()), ("rows", pa.int64()), ("failure", pa.string())])
