"""Watch lists: the symbols that the holder of a key follows, a file per key beside the keys, closed to other users."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lake.disk import write_private
from lake.errors import DamagedFileError
from lake.settings import Settings
from serving.access import keys

FOLDER = "watch_lists"


@dataclass(frozen=True)
class WatchList:
    """Symbols of one key, in the order in which its holder put them; `changed_at` is None where none was stored."""

    symbols: tuple[str, ...] = ()
    changed_at: datetime | None = None


def read(settings: Settings, key_id: str) -> WatchList:
    """Return the watch list of a key; an empty one where none was stored.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    path = _path(settings, key_id)
    try:
        stored = json.loads(path.read_bytes())
        return WatchList(tuple(stored["symbols"]), datetime.fromisoformat(stored["changed_at"]))
    except FileNotFoundError:
        return WatchList()
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(
            f"A watch list in {path.parent} cannot be read: {error}. Store the list anew, or restore it from a backup."
        ) from error


def write(settings: Settings, key_id: str, symbols: Sequence[str]) -> WatchList:
    """Store a watch list in place of the one before; of a symbol that is named twice the first place counts."""
    made = WatchList(tuple(dict.fromkeys(symbols)), datetime.now(UTC))
    path = _path(settings, key_id)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    assert made.changed_at is not None
    write_private(path, json.dumps({"symbols": made.symbols, "changed_at": made.changed_at.isoformat()}) + "\n")
    return made


def forget(settings: Settings, key_id: str) -> bool:
    """Delete the watch list of a key; return whether there was one."""
    try:
        _path(settings, key_id).unlink()
    except FileNotFoundError:
        return False
    return True


def _path(settings: Settings, key_id: str) -> Path:
    return keys.folder(settings) / FOLDER / f"{key_id}.json"
