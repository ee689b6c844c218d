"""Table versions in use: by rows of the lake that name them, and by holders outside the lake that pin them.

A forecast names the versions behind it in its own row. A registered model or a training frame lives elsewhere, so
whoever makes one calls `pin`. `lake.care.maintenance` keeps every version that is in use readable.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import polars as pl

from lake.disk import file_lock, flush, write_durably
from lake.errors import DamagedTableError, NotReadyError
from lake.store import Lake, StoredTable, delta_log, snapshots

COLUMNS = ("feature_table_versions", "table_versions")
"""Columns, of whatever table, that hold the versions a row was made from, as JSON."""

InUse = dict[str, dict[int, set[str]]]
"""Table to version to who uses it."""


def pin(lake: Lake, holder: str, versions: Mapping[str, int]) -> None:
    """Keep versions of tables readable for as long as the holder is there.

    Parameters
    ----------
    holder
        Who needs them, e.g. ``model:1f3a...`` or ``training:<run>``. Pinning again adds to what it holds.
    versions
        Table name to version, as `Lake.versions` returns them.

    Raises
    ------
    NotReadyError
        If one of the versions is not there, or no longer; nothing is pinned then.

    Examples
    --------
    >>> import tempfile
    >>> from lake.sources import tiny_market
    >>> from lake.tables import BARS
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = lake.merge(BARS, tiny_market(["AAA"], sessions=5, seed=1))
    >>> pin(lake, "notebook:mine", lake.versions([BARS]))
    >>> pins_in_use(lake)
    {'bars': {1: {'notebook:mine'}}}
    >>> unpin(lake, "notebook:mine")
    >>> pins_in_use(lake)
    {}
    """
    with pins_lock(lake):
        for table, version in versions.items():
            if fault := _fault(lake.root / table, version):
                raise NotReadyError(
                    f"'{holder}' would keep version {version} of table '{table}', which cannot be read: {fault}"
                )
        held = _read(_file(lake, holder))
        for table, version in versions.items():
            held[table] = sorted({*held.get(table, []), version})
        write_durably(_file(lake, holder), json.dumps({"holder": holder, "versions": held}, indent=1, sort_keys=True))


def set_pins(lake: Lake, holder: str, generations: Sequence[Mapping[str, int]]) -> None:
    """Replace the pins of a holder by these versions; a version that is not there any more is left out.

    For a holder that follows the tables, as the online store does: the newest versions, and those before.

    Parameters
    ----------
    generations
        Table name to version, for each state that is to stay readable.
    """
    with pins_lock(lake):
        file = _file(lake, holder)
        held = _read(file)
        kept: dict[str, list[int]] = {}
        for table, version in {item for versions in generations for item in versions.items()}:
            known = {*held.get(table, ()), *delta_log.readable(lake.root / table)[-1:]}
            if version in known or _fault(lake.root / table, version) is None:
                kept[table] = sorted({*kept.get(table, ()), version})
        if kept != held:
            write_durably(file, json.dumps({"holder": holder, "versions": kept}, indent=1, sort_keys=True))


def _fault(folder: Path, version: int) -> str | None:
    """Why a version cannot be kept; None where everything it is made of is there."""
    there = delta_log.readable(folder)
    if version not in there:
        return f"the lake has versions {there[0]} to {there[-1]}." if there else "there is no such table."
    try:
        paths = snapshots.read(folder, snapshots.opened(folder, version)).paths
    except (NotReadyError, DamagedTableError) as error:
        return str(error)
    missing = [path for path in paths if not Path(path).exists()]
    return f"{len(missing)} of its {len(paths)} data files are gone; `vacuum` may have taken them." if missing else None


def unpin(lake: Lake, holder: str) -> None:
    """Remove the pins of a holder; nothing happens if it has none."""
    with pins_lock(lake):
        _file(lake, holder).unlink(missing_ok=True)
        if _folder(lake).exists():
            flush(_folder(lake))


def pins_in_use(lake: Lake, *, unreadable: list[str] | None = None) -> InUse:
    """Return every table version in use with its users: rows by the name of their table, holders by their own.

    Parameters
    ----------
    unreadable
        Where given, tables that cannot be read are named in it, and the rest is returned.

    Raises
    ------
    DamagedTableError
        If a table that may name versions cannot be read, and no `unreadable` is given.
    """
    found: InUse = defaultdict(lambda: defaultdict(set))
    for file in sorted(_folder(lake).glob("*.json")):
        holder = json.loads(file.read_text(encoding="utf-8"))["holder"]
        for table, versions in _read(file).items():
            for version in versions:
                found[table][version].add(holder)
    for folder in lake.folders():
        try:
            named = _named_in(snapshots.describe(snapshots.opened(folder), folder))
        except (DamagedTableError, OSError, pl.exceptions.PolarsError) as error:
            if unreadable is None:
                raise DamagedTableError(
                    f"Table '{folder.name}' cannot be read, so which versions its rows use is not known: {error} "
                    f"`quantlake lake doctor {folder.name}` names what is wrong."
                ) from error
            unreadable.append(folder.name)
            continue
        for table, version in named:
            found[table][version].add(f"rows of {folder.name}")
    return {table: dict(versions) for table, versions in found.items()}


def _named_in(stored: StoredTable) -> set[tuple[str, int]]:
    """Tables and versions that the rows of a table name."""
    named: set[tuple[str, int]] = set()
    for column in set(COLUMNS) & set(stored.schema.names) if stored.files else ():
        rows = pl.scan_parquet(list(stored.files), glob=False, hive_partitioning=False)
        for text in rows.select(pl.col(column).drop_nulls().unique()).collect().to_series():
            named |= {(table, int(version)) for table, version in json.loads(text).items()}
    return named


def pins_lock(lake: Lake) -> AbstractContextManager[None]:
    """Hold the lock of the pins: no version is pinned or released meanwhile."""
    return file_lock(lake.root / ".pins.lock", "The list of pinned versions")


def _folder(lake: Lake) -> Path:
    return lake.root / ".pins"


def _file(lake: Lake, holder: str) -> Path:
    return _folder(lake) / f"{hashlib.sha256(holder.encode()).hexdigest()[:24]}.json"


def _read(file: Path) -> dict[str, list[int]]:
    if not file.exists():
        return {}
    versions: dict[str, list[int]] = json.loads(file.read_text(encoding="utf-8"))["versions"]
    return versions
