"""Watch lists: the symbols that the holder of a key follows, a file per key beside the keys, closed to other users."""

import json
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lake.disk import file_lock, write_private
from lake.errors import DamagedFileError, FullWatchListError
from lake.settings import Settings
from serving.access import keys
from serving.api import BATCH_SYMBOLS

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
    with _alone(settings):
        _store(settings, key_id, made)
    return made


def change(settings: Settings, key_id: str, add: Sequence[str], remove: Collection[str]) -> WatchList:
    """Remove symbols from a watch list and add others at its end; no change by another process or thread is lost.

    A symbol that is listed already keeps its place, one that is not listed is removed without an error, and one that
    is both removed and added moves to the end.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    FullWatchListError
        If the list would be longer than `BATCH_SYMBOLS`; it stays as it was.
    """
    with _alone(settings):
        kept = [symbol for symbol in read(settings, key_id).symbols if symbol not in remove]
        made = WatchList(tuple(dict.fromkeys([*kept, *add])), datetime.now(UTC))
        if len(made.symbols) > BATCH_SYMBOLS:
            raise FullWatchListError(
                f"The watch list would have {len(made.symbols):,} symbols, and it holds {BATCH_SYMBOLS:,} at most. "
                "Remove others in the same change."
            )
        _store(settings, key_id, made)
    return made


def forget(settings: Settings, key_id: str) -> bool:
    """Delete the watch list of a key; return whether there was one."""
    with _alone(settings):
        try:
            _path(settings, key_id).unlink()
        except FileNotFoundError:
            return False
    return True


def _store(settings: Settings, key_id: str, made: WatchList) -> None:
    path = _path(settings, key_id)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    assert made.changed_at is not None
    write_private(path, json.dumps({"symbols": made.symbols, "changed_at": made.changed_at.isoformat()}) + "\n")


def _alone(settings: Settings) -> AbstractContextManager[None]:
    """Lock the watch lists of all keys among threads and processes."""
    return file_lock(keys.folder(settings) / ".watch_lists.lock", "The folder of the watch lists")


def _path(settings: Settings, key_id: str) -> Path:
    return keys.folder(settings) / FOLDER / f"{key_id}.json"
