"""A small file that other processes may replace, read again when it has changed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from lake.disk import FileIdentity, identity_of

KEY_REFRESH_SECONDS = 0.5
"""A change is seen within this time; looking costs a microsecond or two."""

Value = TypeVar("Value")


class Watched(Generic[Value]):
    """Parsed content of a file, read again when it changes. Thread-safe: at worst two threads read it twice.

    Parameters
    ----------
    path
        File that is only ever replaced as a whole, as `lake.disk.write_durably` does.
    parse
        Makes the value from the file's text, or from None while there is no file.
    """

    def __init__(self, path: Path, parse: Callable[[str | None], Value]) -> None:
        self.path, self._parse = path, parse
        self._held: tuple[FileIdentity | None, Value] | None = None
        self._look_at = 0.0

    def value(self) -> Value:
        """Return the content, at most half a second old."""
        if self._held is not None and time.monotonic() < self._look_at:
            return self._held[1]
        return self.fresh()

    def fresh(self) -> Value:
        """Return what the file says now."""
        self._look_at = time.monotonic() + KEY_REFRESH_SECONDS
        identity = identity_of(self.path)
        if self._held is None or self._held[0] != identity:
            # If it is replaced between the two lines, the older identity makes the next look read it again.
            self._held = (identity, self._parse(None if identity is None else self.path.read_text(encoding="utf-8")))
        return self._held[1]
