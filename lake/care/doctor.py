"""Examine the files of a table for damage, and repair it: back to its last good version, with a list of losses."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from lake.care.pins import InUse, pins_in_use
from lake.disk import flush, write_durably
from lake.errors import DamagedTableError, NotReadyError
from lake.spec import TableSpec
from lake.store import Lake, altered_files, commits, data_files, delta_log, named_digest, scan_files, snapshots
from lake.store.delta_log import DAMAGED

MAGIC = b"PAR1"
UNREADABLE = {
    "torn log entry": "its commit cannot be read",
    "empty log entry": "its commit cannot be read",
    "altered log entry": "its bytes changed since they were written, and nothing after it is sure",
}


@dataclass(frozen=True)
class TableFault:
    """One thing that is wrong: its kind, e.g. ``torn log entry`` or ``missing data file``, where, and what it means."""

    kind: str
    path: Path
    meaning: str


@dataclass(frozen=True)
class Repair:
    """What a repair found, where it put the files it took away, and what is lost by it, in sentences."""

    findings: tuple[TableFault, ...]
    version: int
    moved_to: Path | None
    lost: tuple[str, ...]


class _Log(NamedTuple):
    """Faults of the log, and the versions from `first` to `last` that can be read without the damaged files."""

    findings: list[TableFault]
    first: int
    last: int


class _Plan(NamedTuple):
    """Versions after `last` to `newest` are given up; their files are moved to `store`."""

    store: Path
    last: int
    newest: int


def examine(lake: Lake, spec: TableSpec, *, is_deep: bool = True, in_use: InUse | None = None) -> list[TableFault]:
    """Return what is wrong with a table's log and with the files of its last good version; an empty list means healthy.

    Each data file is there, has the size its commit says, begins and ends as Parquet does, and has the digest that its
    name carries. Data files behind a damaged checkpoint are looked at by `repair`.

    Parameters
    ----------
    is_deep
        Hash every data file, at about a gigabyte a second; otherwise only sizes and ends are looked at.
    in_use
        What `lake.care.pins.pins_in_use` says, for a caller that looks at many tables.
    """
    _require(lake, spec)
    log = _examine_log(lake.path(spec), _newest_in_use(lake, spec, in_use))
    intent = delta_log.unfinished(lake.path(spec))
    cut_off = [TableFault("unfinished repair", intent, "it was cut off; `repair` goes on with it")]
    try:
        damaged = _examine_data(lake, spec, log.last, is_deep=is_deep) if log.last >= 0 else []
    except (DamagedTableError, NotReadyError):  # a damaged checkpoint is in the way
        damaged = []
    return [*cut_off * intent.exists(), *log.findings, *(finding for finding, _ in damaged)]


def repair(lake: Lake, spec: TableSpec) -> Repair:
    """Bring a table back to its last good version; what is damaged is moved into `.damaged`, never deleted.

    A torn or missing log entry takes the versions from it on with it. A damaged data file takes its own rows, unless
    it was written by a compaction and the files it was made from are still there.

    Raises
    ------
    NotReadyError
        If no version at all can be read.
    """
    _require(lake, spec)
    folder, lost = lake.path(spec), list[str]()
    with lake.lock(spec):
        findings, log = examine(lake, spec), _examine_log(folder, _newest_in_use(lake, spec))
        if log.last < 0:
            raise NotReadyError(
                f"No version of table '{spec.name}' can be read: {log.findings[0].kind} {log.findings[0].path}. Move "
                f"{folder} away, and make the table again from the tables before it or from a copy."
            )
        plan = _plan(folder, log, _newest_in_use(lake, spec))
        if log.findings or delta_log.unfinished(folder).exists():
            lost += _repair_log(lake, spec, log, plan)
        lost += _repair_data(lake, spec, plan.store)
        moved_to = plan.store if plan.store.exists() else None
        return Repair(tuple(findings), lake.version(spec), moved_to, tuple(lost))


def _require(lake: Lake, spec: TableSpec) -> None:
    folder = lake.path(spec)
    if not (delta_log.versions(folder) or delta_log.checkpoints(folder) or data_files(folder)):
        lake.version(spec)  # raises, and says how to make the table


def undigested(lake: Lake, spec: TableSpec) -> int:
    """Number of data files of the newest version whose name carries no digest: a changed bit in them goes unnoticed."""
    return sum(named_digest(path) is None for path in lake.contents(spec).paths)


def _newest_in_use(lake: Lake, spec: TableSpec, in_use: InUse | None = None) -> int:
    """Newest version that a row, a holder or the ledger of commits names: the log must reach at least that far."""
    named = (pins_in_use(lake, unreadable=[]) if in_use is None else in_use).get(spec.name, {})
    return max([*named, commits.read(lake.path(spec)).newest], default=-1)


def _examine_log(folder: Path, in_use: int) -> _Log:
    entries, sums = delta_log.versions(folder), delta_log.checkpoints(folder)
    if not entries and not sums:
        stray = data_files(folder)
        meaning = f"no log names the {sum(_rows(file) for file in stray)} rows of {len(stray)} data files"
        return _Log([TableFault("missing log", folder / "_delta_log", meaning)], -1, -1)
    ledger = commits.read(folder)
    changed = {file.name for file in commits.altered(folder, ledger)}
    bad = {version: kind for version in entries if (kind := _fault_of_entry(folder, version, changed))}
    findings = [TableFault(kind, delta_log.entry(folder, v), UNREADABLE[kind]) for v, kind in bad.items()]
    torn = {v for v in sums if any(_fault_of_parquet(file) or file.name in changed for file in _sums(folder, v))}
    findings += [
        TableFault("torn checkpoint", _sums(folder, v)[0], "the log before it may be gone") for v in sorted(torn)
    ]
    if ledger.damaged_lines:
        meaning = f"{ledger.damaged_lines} of its lines cannot be read, so changes of that much of the log go unnoticed"
        findings.append(TableFault("damaged ledger of commits", folder / commits.FILE, meaning))
    good = {version for version in entries if version not in bad}
    starts = sorted({0} & good | {version for version in sums if version not in torn})
    reach = {start: _reach(start, good) for start in starts}
    last = max(reach.values(), default=-1)
    first = min((start for start, end in reach.items() if end == last), default=-1)
    newest = max([*entries, *sums], default=-1)
    findings += [
        TableFault("missing log entry", delta_log.entry(folder, v), "the log has a gap, and nothing after it is sure")
        for v in range(first + 1, newest + 1)
        if v not in entries
    ]
    if in_use > newest:
        meaning = f"version {in_use} was committed, but the log ends with version {newest}"
        findings.append(TableFault("missing log entry", delta_log.entry(folder, newest + 1), meaning))
    return _Log([*findings, *_examine_pointer(folder, set(sums) - torn)], first, last)


def _reach(start: int, good: set[int]) -> int:
    while start + 1 in good:
        start += 1
    return start


def _fault_of_entry(folder: Path, version: int, changed: set[str]) -> str | None:
    try:
        done = delta_log.actions(folder, version)
    except ValueError:
        return "torn log entry" if delta_log.entry(folder, version).stat().st_size else "empty log entry"
    if not done or not all(isinstance(action, dict) for action in done):
        return "empty log entry"
    return "altered log entry" if delta_log.entry(folder, version).name in changed else None


def _examine_pointer(folder: Path, good_sums: set[int]) -> Iterator[TableFault]:
    pointer = folder / "_delta_log" / "_last_checkpoint"
    if pointer.exists():
        try:
            named = json.loads(pointer.read_text(encoding="utf-8"))["version"]
        except (ValueError, KeyError, TypeError):
            yield TableFault("torn checkpoint pointer", pointer, "the newest checkpoint is not found by it")
        else:
            if named not in good_sums:
                yield TableFault("wrong checkpoint pointer", pointer, f"it names version {named}, where no good one is")


def _sums(folder: Path, version: int) -> list[Path]:
    return sorted((folder / "_delta_log").glob(f"{version:020d}.checkpoint*.parquet"))


def _fault_of_parquet(file: Path, size: int | None = None) -> str | None:
    """Say whether a file is missing, empty or torn; None where it is none of them."""
    if not file.exists():
        return "missing"
    found = file.stat().st_size
    if not found:
        return "empty"
    with file.open("rb") as content:
        begin = content.read(4)
        content.seek(max(0, found - 4))
        is_whole = begin == content.read(4) == MAGIC and size in {None, found}
    return None if is_whole else "torn"


def _examine_data(
    lake: Lake, spec: TableSpec, version: int, *, is_deep: bool = True
) -> list[tuple[TableFault, pl.DataFrame]]:
    """Damaged data files of a version, each with its row of the log."""
    found = []
    folder = lake.path(spec)
    files = snapshots.read(folder, snapshots.opened(folder, version, even_gone=True)).files
    changed = {path for path, _ in altered_files(files["path"], anew=True)} if is_deep else set[Path]()
    for number, (path, size, rows, first, last) in enumerate(
        files.select("path", "size_bytes", "rows", "first", "last").iter_rows()
    ):
        if fault := _fault_of_parquet(Path(path), size) or ("altered" if Path(path) in changed else None):
            span = f", of {first:%Y-%m-%d} to {last:%Y-%m-%d}" if first and last else ""
            many = "an unknown number of" if rows is None else rows
            why = "its bytes changed since they were written; " if fault == "altered" else ""
            found.append(
                (TableFault(f"{fault} data file", Path(path), f"{why}it held {many} rows{span}"), files[number])
            )
    return found


def _plan(folder: Path, log: _Log, in_use: int) -> _Plan:
    """Return what a repair is to do, or what an interrupted repair had begun."""
    newest = max([*delta_log.versions(folder), *delta_log.checkpoints(folder), in_use])
    intent = delta_log.unfinished(folder)
    if not intent.exists():
        return _Plan(folder / DAMAGED / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}", log.last, newest)
    # The mark beyond the last lost version may be there already, and is no version to give up.
    begun = json.loads(intent.read_text(encoding="utf-8"))
    return _Plan(intent.parent / begun["store"], min(begun["last"], log.last), max(begun["newest"], newest - 1))


def _repair_log(lake: Lake, spec: TableSpec, log: _Log, plan: _Plan) -> list[str]:
    """Move what the last good version does not need out of the log, and set a mark that no reader passes over.

    What is meant to be done is on disk before it is begun: cut off anywhere, the next repair goes on with it.
    """
    folder, store = lake.path(spec), plan.store
    intent = delta_log.unfinished(folder)
    meant = {"store": store.name, "last": plan.last, "newest": plan.newest}
    write_durably(intent, json.dumps(meant))
    flush(folder)
    kept, is_bad = range(log.first, log.last + 1), {finding.path for finding in log.findings}
    surplus = [
        file
        for file in sorted((folder / "_delta_log").iterdir())
        if file in is_bad or (file.name[:20].isdigit() and int(file.name[:20]) not in kept)
    ]
    _move(folder, surplus, store)
    lost = list[str]()
    if plan.newest > plan.last:
        _move(folder, _unnamed(folder, store, log.first), store)
        lost = _losses(lake, spec, plan)
        lake.mark_repaired(spec, plan.last, plan.newest)
    commits.rewrite(folder, log.first)
    intent.unlink()
    flush(intent.parent)
    return lost


def _unnamed(folder: Path, store: Path, first: int) -> list[Path]:
    """Data files that no version kept is made of, nor any from before the first one that can be read."""
    earlier = [file for file in (store / "_delta_log").glob("*.json") if int(file.stem) < first]
    named = {file for file, _, _ in snapshots.lives(folder)} | {*_files_added(folder, earlier)}
    return [file for file in data_files(folder) if file not in named]


def _losses(lake: Lake, spec: TableSpec, plan: _Plan) -> list[str]:
    """Return what is lost with the versions given up, in sentences."""
    folder, (store, last, newest) = lake.path(spec), plan
    when = f", committed at {delta_log.committed_at(folder, last):%Y-%m-%d %H:%M} UTC"
    is_dated = delta_log.entry(folder, last).exists()
    lost = [f"Versions {last + 1} to {newest} are gone; the table stands as it was at version {last}{when * is_dated}."]
    taken = [file for file in store.rglob("*.parquet") if file.parent.name != "_delta_log"]
    if taken:
        rows = sum(_rows(file) for file in taken)
        lost.append(f"{rows} rows of {len(taken)} files are out of the table; the files are in {store}.")
    unreadable = list[str]()
    in_use = pins_in_use(lake, unreadable=unreadable).get(spec.name, {})
    lost += [
        f"Version {version}, in use by {', '.join(sorted(users))}, was among them."
        for version, users in sorted(in_use.items())
        if last < version <= newest
    ]
    return lost + [f"Table '{name}' cannot be read, so its rows may use some of them." for name in unreadable]


def _repair_data(lake: Lake, spec: TableSpec, store: Path) -> list[str]:
    lost = []
    for finding, entry in _examine_data(lake, spec, lake.version(spec)):
        rows = _rows_before_compaction(lake, spec, finding.path)
        _move(lake.path(spec), [finding.path] if finding.path.exists() else [], store)
        lake.replace_damaged(spec, entry, rows)
        if rows is None:
            lost.append(
                f"{finding.kind} {finding.path.name}: {finding.meaning}. Merge them again from where they came; a "
                "batch that was appended needs a new batch id."
            )
    return lost


def _rows_before_compaction(lake: Lake, spec: TableSpec, file: Path) -> pl.DataFrame | None:
    """The rows of a file that a compaction wrote, from the files it was made from; None where they are not known."""
    folder = lake.path(spec)
    for version in reversed(delta_log.versions(folder)):
        done = delta_log.actions(folder, version)
        if file in delta_log.added_files(folder, done):
            sources = delta_log.removed_files(folder, done)
            is_same = not any(action["add"]["dataChange"] for action in done if "add" in action)
            if (
                not is_same
                or not sources
                or any(_fault_of_parquet(source) for source in sources)
                or altered_files(sources)
            ):
                return None
            return scan_files(spec, sources).collect()
    return None


def _files_added(folder: Path, entries: list[Path]) -> list[Path]:
    """Data files that these log entries added, as far as their lines can be read."""
    found: list[Path] = []
    for entry in entries:
        if entry.suffix == ".json":
            for line in entry.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    found += delta_log.added_files(folder, [json.loads(line)])
                except (ValueError, TypeError, KeyError):
                    continue
    return found


def _rows(file: Path) -> int:
    return 0 if _fault_of_parquet(file) else int(pl.scan_parquet(file, glob=False).select(pl.len()).collect().item())


def _move(folder: Path, files: list[Path], store: Path) -> None:
    """Move files out of a table, each under its own name and folder, durably."""
    for file in files:
        place = store / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
        for changed in (file.parent, *(parent for parent in place.parents if parent.is_relative_to(folder))):
            flush(changed)
