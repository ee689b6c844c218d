"""Moves a damaged file out of the way: under the home, under its own name, deleting nothing."""

from datetime import UTC, datetime
from pathlib import Path

from lake.disk import flush
from lake.errors import ConfigError, NotReadyError
from lake.settings import Settings

FOLDER = ".damaged"
BESIDE = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database; they go with it."""


def set_aside(configured: Settings, path: Path) -> Path:
    """Move a file or a table's folder, and what belongs to it, into ``.damaged`` under the home.

    The move is noted in the audit trail.

    Returns
    -------
    Path
        Where it lies now; the audit trail's head, where it is gone already, is only noted.

    Raises
    ------
    ConfigError
        If the path is not below the home, or is one of its own folders.
    NotReadyError
        If there is no such file, or a process is writing to it.
    """
    from lake.store import Lake
    from serving.audit import HEAD_FILE, console, record

    path = path.expanduser().absolute()
    if configured.home not in path.parents or path in {configured.tables, configured.models, configured.dagster}:
        raise ConfigError(f"{path} is not a file below {configured.home}; only what `quantlake doctor` names is moved.")
    is_head = path == configured.tables / HEAD_FILE
    if not path.exists() and not is_head:
        raise NotReadyError(f"There is no {path}. Run `quantlake doctor` again: it may be in order by now.")
    _require_unused(path)
    store = configured.home / FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    place = store / path.relative_to(configured.home)
    place.parent.mkdir(parents=True, mode=0o700)
    for file in [path, *(path.with_name(path.name + ending) for ending in BESIDE)]:
        if file.exists():
            file.replace(place.with_name(file.name))
            flush(path.parent)
    for changed in (place.parent, *(parent for parent in place.parents if configured.home in parent.parents)):
        flush(changed)
    name = path.relative_to(configured.home).as_posix()
    record(Lake.open(configured), who=console(), what="doctor.set_aside", details={"file": name})
    return place


def _require_unused(path: Path) -> None:
    """Refuse a file of the forecast log that a living process writes to."""
    from filelock import FileLock, Timeout

    lock = path.with_suffix(".lock")
    if path.suffix != ".sqlite" or not lock.exists():
        return
    try:
        with FileLock(lock, timeout=0):
            return
    except Timeout as error:
        raise NotReadyError(f"A process writes to {path}. Stop the service first, and start it again after.") from error
