"""The files of a Delta log: one JSON file per commit, read without opening the table."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

Action = dict[str, Any]
DAMAGED = ".damaged"
"""Folder beside the data where repair puts what it takes away; nothing else reads, empties or deletes it."""


def unfinished(folder: Path) -> Path:
    """Return the file that exists while a repair runs, and after one that was interrupted."""
    return folder / DAMAGED / "repair.json"


def entry(folder: Path, version: int) -> Path:
    """File of one commit."""
    return folder / "_delta_log" / f"{version:020d}.json"


def actions(folder: Path, version: int) -> list[Action]:
    """Return the actions of one commit.

    Raises
    ------
    FileNotFoundError
        If the entry was cleaned up, or there is no such version yet.
    ValueError
        If the entry is torn.
    """
    return [json.loads(line) for line in entry(folder, version).read_text(encoding="utf-8").splitlines()]


def versions(folder: Path) -> list[int]:
    """Versions whose own entry is in the log, in order."""
    return sorted(int(path.stem) for path in (folder / "_delta_log").glob("*.json") if path.stem.isdigit())


def checkpoints(folder: Path) -> list[int]:
    """Versions that a checkpoint sums up, in order."""
    return sorted({int(path.name[:20]) for path in (folder / "_delta_log").glob("*.checkpoint*.parquet")})


def oldest(folder: Path) -> Path | None:
    """First file of the log, an entry or a checkpoint; None where there is no table."""
    if not (folder / "_delta_log").is_dir():
        return None
    numbered = (path for path in (folder / "_delta_log").iterdir() if path.name[:20].isdigit())
    return min(numbered, default=None)


def readable(folder: Path) -> range:
    """Versions that can be read: from the first entry or checkpoint that is left, to the newest entry."""
    entries, sums = versions(folder), checkpoints(folder)
    if not entries:
        return range(0)
    first = 0 if entries[0] == 0 else next((version for version in sums if version >= entries[0] - 1), entries[-1] + 1)
    return range(first, entries[-1] + 1)


def committed_at(folder: Path, version: int) -> datetime:
    """When a commit was made, by the time of its entry's file."""
    return datetime.fromtimestamp(entry(folder, version).stat().st_mtime, UTC)


def added_files(folder: Path, done: list[Action]) -> Iterator[Path]:
    """Data files that a commit added; Delta writes a space or an accent as a code."""
    return (folder / unquote(action["add"]["path"]) for action in done if "add" in action)


def removed_files(folder: Path, done: list[Action]) -> list[Path]:
    """Data files that a commit took out."""
    return [folder / unquote(action["remove"]["path"]) for action in done if "remove" in action]


def written_by(folder: Path, version: int) -> list[Path]:
    """Every file of one commit: its data files, its log entry, and the checkpoint it may have made."""
    data = added_files(folder, actions(folder, version)) if entry(folder, version).exists() else ()
    return [*data, *entries_of(folder, version)]


def entries_of(folder: Path, version: int) -> list[Path]:
    """Log entry of a version, and the checkpoint that may have been made with it."""
    entries = sorted((folder / "_delta_log").glob(f"{version:020d}*"))
    pointers = [path for path in [folder / "_delta_log" / "_last_checkpoint"] if path.exists()]
    return [*entries, *pointers]


def files_of_new_rows(folder: Path, since: int, until: int) -> list[Path] | None:
    """Files with the rows that came after one version, up to and including another.

    A compaction writes files as well, but says of them that they change no data.

    Returns
    -------
    list[Path] or None
        In the order of the commits. None if adding files does not tell the whole change: an entry was cleaned up,
        rows were taken out, or the table was altered or repaired.
    """
    files: list[Path] = []
    for version in range(since + 1, until + 1):
        try:
            done = actions(folder, version)
        except FileNotFoundError:
            return None
        if any(_takes_out(action) or ("metaData" in action and version > 0) for action in done):
            return None
        files += added_files(folder, [action for action in done if action.get("add", {}).get("dataChange")])
    return files if all(file.exists() for file in files) else None


def _takes_out(action: Action) -> bool:
    return bool(action.get("remove", {}).get("dataChange", "remove" in action))
