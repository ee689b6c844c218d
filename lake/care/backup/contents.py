"""Which files of a home are backed up, and why others are not."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from lake.disk import FileIdentity

LEFT_OUT = {
    "redis": "the online store is filled again from the tables",
    "bentoml": "temporary files of the endpoint's processes",
    "logs": "what processes of this machine wrote for people",
    "generated": "the made-up market of `quantlake update --symbols`",
    "markets": "other markets, each a home of its own: back it up with QUANTLAKE_MARKET set to it",
    "backups.json": "when this home was last backed up",
    "job.json": "which job runs in this home",
    "explanations": "jobs of the last hour that write explanations, asked for again in a second",
    "sources": "how many requests vendors were asked of late, whose own counts hold; and requests to ask them",
    "switch": "who may trade now: a home that is restored is halted until a named person resumes",
    "run": "which processes run, their sockets, and the key of the web UIs, made anew at the next start",
}
"""Names at the top of a home, with the reason."""
PASSING = ("*.lock", "*.pid", "*.new", "*-wal", "*-shm", "*-journal", ".*.restoring")
"""Files of any folder that belong to a process; what SQLite keeps beside a database is in the copy of the database."""
LATER = ("dagster/*", "mlflow/artifacts/*", "models/*/*", "reports/*", "training/*")
"""Files that are never changed once something refers to them: they may be copied after the consistent point."""
LOGS = ("forecast_log*.sqlite", "explanation_log.sqlite", "recommendation_log.sqlite", "desk.sqlite")
"""Copied first: a row that leaves one of these logs meanwhile is in the tables, which are copied after it."""
TABLES, LOG_FOLDER = "tables", "_delta_log"


@dataclass(frozen=True)
class Found:
    """One regular file of a home.

    Parameters
    ----------
    path
        Where it is.
    name
        Its path within the home, with slashes.
    """

    path: Path
    name: str

    @property
    def is_later(self) -> bool:
        """Whether it may be copied after the consistent point."""
        return any(fnmatch(self.name, pattern) for pattern in LATER)

    @property
    def is_log(self) -> bool:
        """Whether it is a file of a log of forecasts, explanations or recommendations."""
        return any(fnmatch(self.name, pattern) for pattern in LOGS)


def walk(home: Path) -> Iterator[Found]:
    """Return every regular file that is backed up, except those of tables; symbolic links are followed."""
    yield from _walk(home, home, set())


def table_folders(home: Path) -> list[Path]:
    """Return the folders of the Delta tables, by name; their files are those that the log names."""
    return sorted(log.parent for log in (home / TABLES).glob(f"*/{LOG_FOLDER}"))


def _walk(home: Path, folder: Path, above: set[tuple[int, int]]) -> Iterator[Found]:
    here = FileIdentity.of(folder).file
    if here in above:  # a link back up
        return
    is_table = folder.parent == home / TABLES and (folder / LOG_FOLDER).is_dir()
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names are enough
        path = folder / name
        is_out = (folder == home and name in LEFT_OUT) or any(fnmatch(name, pattern) for pattern in PASSING)
        if is_out or (is_table and not name.startswith(".")):  # of a table only what a repair took away
            continue
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:  # a temporary file that went, or a link to nowhere
            continue
        if stat.S_ISDIR(mode):
            yield from _walk(home, path, {*above, here})
        elif stat.S_ISREG(mode):
            yield Found(path, path.relative_to(home).as_posix())
