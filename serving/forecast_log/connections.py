"""SQLite connections to the log files, held open per reading thread; a damaged file hides no other."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lake.disk import file_at
from serving.forecast_log.damage import is_damage, set_aside
from serving.forecast_log.log_files import log_paths, open_log

if TYPE_CHECKING:
    from lake.settings import Settings


class OpenLogs:
    """Connections to every file of the log, held open. For one thread.

    Parameters
    ----------
    configured
        Say in which home.
    """

    def __init__(self, configured: "Settings") -> None:
        self._configured = configured
        self._held: dict[Path, tuple[tuple[int, int] | None, sqlite3.Connection]] = {}

    def current(self) -> Mapping[Path, sqlite3.Connection]:
        """Return a connection to every file there is now; that to a file which was moved or removed is closed."""
        present = {path: file_at(path) for path in log_paths(self._configured)}
        for path in [path for path, (held, _) in self._held.items() if present.get(path) != held]:
            self._held.pop(path)[1].close()
        for path, found in present.items():
            if path not in self._held:
                self._open(path, found)
        return {path: connection for path, (_, connection) in self._held.items()}

    def lose(self, path: Path, error: sqlite3.Error) -> None:
        """Handle an unreadable file: a damaged one is moved aside, so that the others are read.

        Raises
        ------
        sqlite3.Error
            The error itself, if it says something else.
        """
        if not is_damage(error):
            raise error
        which, connection = self._held.pop(path, (file_at(path), None))
        if connection is not None:
            connection.close()
        set_aside(path, f"is damaged: {error}", which)

    def _open(self, path: Path, found: tuple[int, int] | None) -> None:
        try:
            self._held[path] = found, open_log(path)
        except sqlite3.DatabaseError as error:
            self.lose(path, error)

    def close(self) -> None:
        """Close the files."""
        for _, connection in self._held.values():
            connection.close()
        self._held.clear()
