"""Maintenance: deleting files of old versions and old log entries that nobody uses; and the history of a table."""

import json
import math
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from lake.care.pins import pins_in_use, pins_lock
from lake.disk import flush
from lake.report import Report
from lake.spec import TableSpec
from lake.store import Lake, commits, data_files, delta_log, newest_known, snapshots

KEEP = timedelta(days=30)
"""How long a version that nobody uses stays readable: longer than any reader holds one open."""


def vacuum(
    lake: Lake, spec: TableSpec, *, keep: timedelta = KEEP, now: datetime | None = None, dry_run: bool = False
) -> Report:
    """Delete the data files that no version in use, and none younger than `keep`, is made of.

    Files that a killed writer left behind go too, once they are that old. A vacuum that was killed is completed by the
    next one.

    Parameters
    ----------
    keep
        Versions that were the newest within this time stay readable, used or not.
    now
        By default the wall clock's now; the age of a version is that of its log entry's file: a lake copied from
        elsewhere is then young, and keeps more, whatever its writer's clock said.
    dry_run
        Report what would be deleted, and delete nothing.
    """
    started = time.perf_counter()
    folder, cutoff = _existing(lake, spec), (now or datetime.now(UTC)) - keep
    with lake.writing(spec), pins_lock(lake):
        in_use = pins_in_use(lake).get(spec.name, {})
        needed = _needed(folder, {*in_use, *_within(folder, cutoff)})
        surplus = [file for file in data_files(folder) if file not in needed and _is_older(file, cutoff)]
        freed = sum(file.stat().st_size for file in surplus)
        _delete([] if dry_run else surplus)
    report = lake.report(spec, started=started).with_details(files_deleted=len(surplus), bytes_freed=freed)
    return report.with_details(warnings=_unreadable(folder, in_use), versions_in_use=len(in_use))


def clean_log(
    lake: Lake, spec: TableSpec, *, keep: timedelta = KEEP, now: datetime | None = None, dry_run: bool = False
) -> Report:
    """Delete the log entries that no version in use, and none younger than `keep`, needs.

    A version is read from the checkpoint before it and every entry in between. So entries go only up to the newest
    checkpoint that is not younger than the oldest version to keep, the oldest first: a kill leaves a log without gap.
    A dry run deletes nothing and writes no checkpoint, but counts as if it had.
    """
    started = time.perf_counter()
    folder, cutoff = _existing(lake, spec), (now or datetime.now(UTC)) - keep
    with lake.writing(spec) as handle:
        newest = handle.snapshot().version
    if not dry_run and newest not in delta_log.checkpoints(folder):
        lake.checkpoint(spec)
    with lake.writing(spec), pins_lock(lake):
        in_use = pins_in_use(lake).get(spec.name, {})
        oldest = min({*in_use, *_within(folder, cutoff)} & {*delta_log.readable(folder)})
        sums = [v for v in {*delta_log.checkpoints(folder), *[newest] * dry_run} if v <= oldest]
        surplus = _entries_before(folder, max(sums)) if sums else []
        if surplus:  # raises where the checkpoint cannot be read: then nothing is deleted
            snapshots.read(folder, snapshots.opened(folder, max(sums), even_gone=True))
        _delete([] if dry_run else surplus)
        if surplus and not dry_run:
            commits.rewrite(folder, max(sums))
    report = lake.report(spec, started=started).with_details(entries_deleted=len(surplus), oldest_version=oldest)
    return report.with_details(warnings=_unreadable(folder, in_use), versions_in_use=len(in_use))


def maintain_tables(lake: Lake, specs: Sequence[TableSpec], *, keep: timedelta = KEEP) -> list[Report]:
    """Compact, clean and vacuum each table that exists; the reports say what was deleted."""
    done = []
    for spec in [spec for spec in specs if lake.exists(spec)]:
        joined, cleaned = lake.compact(spec), clean_log(lake, spec, keep=keep)
        done.append(vacuum(lake, spec, keep=keep).with_details(**joined.details, **cleaned.details))
    return done


@dataclass(frozen=True)
class Commit:
    """One version of a table: when, as the commit itself says, and how it came about, and who uses it."""

    version: int
    committed_at: datetime
    kind: str
    files_added: int
    files_removed: int
    rows_added: int
    in_use_by: tuple[str, ...]


def history(lake: Lake, spec: TableSpec) -> list[Commit]:
    """Return the versions that can be read and whose own entry is still in the log, the newest first.

    A version whose data files were deleted by a vacuum, or are missing, is left out.

    Examples
    --------
    >>> import tempfile
    >>> from lake.sources import tiny_market
    >>> from lake.tables import BARS
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = lake.merge(BARS, tiny_market(["AAA"], sessions=5, seed=1))
    >>> [(commit.version, commit.kind, commit.rows_added) for commit in history(lake, BARS)]
    [(1, 'rows', 5), (0, 'declaration', 0)]
    >>> difference(lake, BARS, 0, 1).added.height
    5
    """
    folder, in_use = _existing(lake, spec), pins_in_use(lake).get(spec.name, {})
    there = sorted(version for version in _whole(folder) if delta_log.entry(folder, version).exists())
    return [_commit(folder, version, tuple(sorted(in_use.get(version, ())))) for version in reversed(there)]


def _commit(folder: Path, version: int, users: tuple[str, ...]) -> Commit:
    done = delta_log.actions(folder, version)
    added = [action["add"] for action in done if "add" in action]
    removed = [action["remove"] for action in done if "remove" in action]
    stamps = (action["commitInfo"].get("timestamp") for action in done if "commitInfo" in action)
    times = (datetime.fromtimestamp(stamp / 1000, UTC) for stamp in stamps if stamp is not None)
    properties = [action["metaData"].get("configuration", {}) for action in done if "metaData" in action]
    is_filler = any(snapshots.is_gone(version, each) for each in properties)
    kind = "compaction" if removed and added else "loss" if removed else "rows" if added else "declaration"
    return Commit(
        version=version,
        committed_at=next(times, delta_log.committed_at(folder, version)),
        kind="repaired" if is_filler else kind,
        files_added=len(added),
        files_removed=len(removed),
        rows_added=sum(json.loads(add.get("stats") or "{}").get("numRecords", 0) for add in added if add["dataChange"]),
        in_use_by=users,
    )


@dataclass(frozen=True)
class VersionDifference:
    """What one version says that another does not, key by key.

    Parameters
    ----------
    added, removed
        Rows in force in the later, or only in the earlier version.
    changed
        Rows in force in the later version whose key the earlier one holds with other values.
    replaced
        What the earlier version says for the keys of `changed`, in the same order.
    """

    added: pl.DataFrame
    removed: pl.DataFrame
    changed: pl.DataFrame
    replaced: pl.DataFrame


def difference(lake: Lake, spec: TableSpec, before: int, after: int) -> VersionDifference:
    """Compare the rows in force, the newest known of each key, in two versions of a table."""
    key = list(spec.key)
    old, new = (newest_known(lake.read(spec, version=version), key) for version in (before, after))
    same = new.join(old, on=spec.names, how="semi", nulls_equal=True)
    fresh = new.join(same, on=key, how="anti", nulls_equal=True).sort(key)
    changed = fresh.join(old, on=key, how="semi", nulls_equal=True).sort(key)
    return VersionDifference(
        added=fresh.join(old, on=key, how="anti", nulls_equal=True).sort(key),
        removed=old.join(new, on=key, how="anti", nulls_equal=True).sort(key),
        changed=changed,
        replaced=old.join(changed, on=key, how="semi", nulls_equal=True).sort(key),
    )


def _delete(files: Sequence[Path]) -> None:
    """Delete files in this order, durably."""
    for file in files:
        file.unlink()
    for changed in {file.parent for file in files}:
        flush(changed)


def _existing(lake: Lake, spec: TableSpec) -> Path:
    """Folder of a table that is there; holding one for writing would make it."""
    lake.version(spec)
    return lake.path(spec)


def _needed(folder: Path, kept: set[int]) -> set[Path]:
    """Files of any of these versions, and of the newest."""
    wanted = sorted(kept & {*delta_log.readable(folder)})
    return {file for file, first, end in snapshots.lives(folder) if end == math.inf or _holds(wanted, first, end)}


def _holds(wanted: list[int], first: int, end: float) -> bool:
    """Whether one of the sorted versions lies in ``[first, end)``."""
    place = bisect_left(wanted, first)
    return place < len(wanted) and wanted[place] < end


def _within(folder: Path, cutoff: datetime) -> set[int]:
    """Versions that were the newest at the cutoff or later."""
    there = [version for version in delta_log.readable(folder) if delta_log.entry(folder, version).exists()]
    young = {version for version in there if delta_log.committed_at(folder, version) > cutoff}
    old = [version for version in there if version not in young]
    return {*young, *old[-1:]}


def _is_older(file: Path, cutoff: datetime) -> bool:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC) <= cutoff


def _entries_before(folder: Path, version: int) -> list[Path]:
    return sorted(
        path for path in (folder / "_delta_log").iterdir() if path.name[:20].isdigit() and int(path.name[:20]) < version
    )


def _unreadable(folder: Path, in_use: dict[int, set[str]]) -> tuple[str, ...]:
    there = _whole(folder)
    return tuple(
        f"Version {version} of '{folder.name}' is in use by {', '.join(sorted(users))}, but was gone before."
        for version, users in sorted(in_use.items())
        if version not in there
    )


def _whole(folder: Path) -> set[int]:
    """Versions that can be read and whose every data file is there."""
    gaps = [(first, end) for file, first, end in snapshots.lives(folder) if not file.exists()]
    there = delta_log.readable(folder)
    return {version for version in there if not any(first <= version < end for first, end in gaps)}
