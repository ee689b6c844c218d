"""A small file that other processes may replace, read again when it has changed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

KEY_REFRESH_SECONDS = 0.5
"""A change is seen within this time; looking costs a microsecond or two."""

Value = TypeVar("Value")
Stamp = tuple[int, int, int]


class Watched(Generic[Value]):
    """What a file says. Safe for threads: the worst two of them can do is read it twice.

    Parameters
    ----------
    path
        File that is only ever replaced as a whole, as `lake.disk.durable.write_durably` does.
    parse
        Makes the value from the file's text, or from None while there is no file.
    """

    def __init__(self, path: Path, parse: Callable[[str | None], Value]) -> None:
        self.path, self._parse = path, parse
        self._held: tuple[Stamp | None, Value] | None = None
        self._look_at = 0.0

    def value(self) -> Value:
        """Return what the file said half a second ago or later."""
        if self._held is not None and time.monotonic() < self._look_at:
            return self._held[1]
        return self.fresh()

    def fresh(self) -> Value:
        """Return what the file says now."""
        self._look_at = time.monotonic() + KEY_REFRESH_SECONDS
        stamp = self._stamp()
        if self._held is None or self._held[0] != stamp:
            # If it is replaced between the two lines, the older stamp makes the next look read it again.
            self._held = (stamp, self._parse(None if stamp is None else self.path.read_text(encoding="utf-8")))
        return self._held[1]

    def _stamp(self) -> Stamp | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
