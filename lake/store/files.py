"""Data files of a table: written and flushed before a commit names them; and which of them a compaction joins."""

import io
import json
import os
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import polars as pl
from deltalake.transaction import RemoveAction

from lake.disk import flush
from lake.spec import TableSpec
from lake.store.digests import NAMED_DIGEST, digest_of, remember

YEAR = "year"
"""Partition column of the files; it repeats `event_time` and is no column of any table."""
ORDER = ("symbol", "event_time", "known_time")
LONGEST_BOUND = 64
"""A text longer than this is no use as a bound, and would swell the log."""


@dataclass(frozen=True)
class DataFile:
    """One Parquet file as a commit describes it.

    Parameters
    ----------
    path
        Relative to the table's folder.
    statistics
        Rows, nulls, and least and greatest values of key and times, as Delta writes them: a reader passes over a file
        that cannot hold what it looks for. Times are given to the microsecond.
    """

    path: str
    size_bytes: int
    partition: dict[str, str | None]
    statistics: str
    written_ms: int


def write_files(folder: Path, spec: TableSpec, rows: pl.DataFrame) -> list[DataFile]:
    """Write rows as one file, or as one per year, and flush them; no reader sees them before a commit names them.

    Each file is encoded in memory, so that the digest in its name is that of the bytes meant, not of those on disk.
    """
    if rows.is_empty():
        return []
    if not spec.by_year:
        return [_write(folder, spec, rows, None)]
    years = rows.with_columns(pl.col("event_time").dt.year().alias(YEAR)).partition_by(YEAR, as_dict=True)
    return [_write(folder, spec, part.drop(YEAR), int(year)) for (year,), part in sorted(years.items())]


def _write(folder: Path, spec: TableSpec, rows: pl.DataFrame, year: int | None) -> DataFile:
    rows = rows.sort([column for column in ORDER if column in spec.names])
    encoded = io.BytesIO()
    rows.write_parquet(encoded, compression="zstd", compression_level=1)
    content = encoded.getbuffer()
    name = f"part-{uuid.uuid4()}.{digest_of(content)}.parquet"
    path = folder / name if year is None else folder / f"{YEAR}={year}" / name
    if not path.parent.exists():
        path.parent.mkdir()
        flush(folder)
    path.write_bytes(content)
    flush(path)
    flush(path.parent)
    remember(path)
    return DataFile(
        path=path.relative_to(folder).as_posix(),
        size_bytes=path.stat().st_size,
        partition={} if year is None else {YEAR: str(year)},
        statistics=json.dumps(_statistics(spec, rows)),
        written_ms=int(time.time() * 1000),
    )


def _statistics(spec: TableSpec, rows: pl.DataFrame) -> dict[str, Any]:
    names = [
        column.name
        for column in spec.columns
        if column.name in {*spec.key, "event_time", "known_time"} and not column.dtype.is_nested()
    ]
    least, greatest = (
        {name: _as_json(value) for name, value in row.items() if value is not None and _is_short(value)}
        for row in (rows.select(bound).row(0, named=True) for bound in (pl.col(names).min(), pl.col(names).max()))
    )
    bounded = least.keys() & greatest.keys()
    return {
        "numRecords": rows.height,
        "minValues": {name: least[name] for name in names if name in bounded},
        "maxValues": {name: greatest[name] for name in names if name in bounded},
        "nullCount": rows.select(pl.col(names).null_count()).row(0, named=True),
    }


def _is_short(value: object) -> bool:
    return not isinstance(value, str) or len(value) <= LONGEST_BOUND


def _as_json(value: object) -> object:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value


def joinable(files: pl.DataFrame, *, at_least: int, target_bytes: int) -> list[pl.DataFrame]:
    """Return groups of small files that should become one file each.

    A file of the target size or more is left alone: rewriting it for every few new rows would copy a year again and
    again, and each copy stays for as long as a version that names it is in use.

    Parameters
    ----------
    files
        With ``path``, ``size_bytes``, ``year``, ``first``.
    at_least
        Years with fewer small files than this are left alone.
    target_bytes
        About how large a joined file becomes.
    """
    small = files.filter(pl.col("size_bytes") < target_bytes).sort("year", "first", "path")
    full = (pl.col("size_bytes").cum_sum() // target_bytes).over("year")
    groups = small.filter(pl.len().over("year") >= at_least).with_columns(full.alias("bin"))
    return [group for group in groups.partition_by("year", "bin", maintain_order=True) if group.height > 1]


def without_digest(files: pl.DataFrame, *, target_bytes: int) -> list[pl.DataFrame]:
    """Return groups of the files whose name carries no digest, each to be written anew as one file.

    Parameters
    ----------
    files, target_bytes
        As for `joinable`.
    """
    old = files.filter(~pl.col("name").str.contains(NAMED_DIGEST)).sort("year", "first", "path")
    full = (pl.col("size_bytes").cum_sum() // target_bytes).over("year")
    return old.with_columns(full.alias("bin")).partition_by("year", "bin", maintain_order=True) if old.height else []


def removals(files: pl.DataFrame, *, is_loss: bool) -> list[RemoveAction]:
    """Return what a commit says that takes these files out; `is_loss` where their rows go with them."""
    now = int(time.time() * 1000)
    return [
        RemoveAction(name, is_loss, now, size, None if year is None else {YEAR: str(year)})
        for name, size, year in files.select("name", "size_bytes", "year").iter_rows()
    ]


def data_files(folder: Path) -> list[Path]:
    """Parquet files of the table, whether a version names them or not; folders that begin with . or _ are not its."""
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        found += [Path(path) / name for name in names if name.endswith(".parquet")]
    return sorted(found)


def scan_files(spec: TableSpec, paths: list[str] | list[Path]) -> pl.LazyFrame:
    """Return the rows of some data files in the table's columns; one that was declared later is null in older files."""
    required = {column.name for column in spec.columns if not column.nullable}
    is_older = spec.may_gain_columns and required <= _columns_of(str(paths[0]))
    missing: Literal["insert", "raise"] = "insert" if is_older else "raise"
    return pl.scan_parquet(paths, schema=spec.schema, glob=False, hive_partitioning=False, missing_columns=missing)


def _columns_of(path: str) -> frozenset[str]:
    """Columns in a data file; none in one that cannot be opened, of which its reader says what is wrong."""
    try:
        return _columns_in(path)
    except (OSError, pl.exceptions.ComputeError):
        return frozenset()


@lru_cache(maxsize=4_096)
def _columns_in(path: str) -> frozenset[str]:
    """Columns in a data file, which never changes."""
    return frozenset(pl.read_parquet_schema(path))
