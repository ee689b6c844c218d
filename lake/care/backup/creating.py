"""Create a backup of a home that is in use: one consistent point in time; unchanged files are not copied again."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from lake.care.backup import manifest as manifests
from lake.care.backup.blobs import LOCK, OWNER_ONLY_FOLDER, Blobs
from lake.care.backup.contents import LOG_FOLDER, TABLES, Found, table_folders, walk
from lake.care.backup.manifest import File, Manifest
from lake.care.pins import pins_lock
from lake.disk import file_lock, is_sqlite
from lake.errors import BackupError
from lake.store import Lake, delta_log, snapshots

Held = Callable[[], AbstractContextManager[object]]
MUTABLE = "_last_checkpoint"
"""The only file of a Delta log that is written twice."""


def create(home: Path, root: Path, *, held: Held = nullcontext, full: bool = False) -> Manifest:
    """Back up a home into a folder. The caller holds the `lake.disk.job_lock`: no job and no vacuum runs meanwhile.

    The forecast logs come first, then, with every writer held off, the point: small files, the model registry and the
    list of each table's log. Data files, which are never changed, come after it. A forecast that is drained meanwhile
    is in both log and table, and the next drain finds it equal; one in neither cannot be.

    Parameters
    ----------
    home
        Folder of everything generated.
    root
        Folder of the backups; made for its owner alone where it does not exist.
    held
        Context that stops the writers above the tables; entered before the locks of the tables, left with them.
    full
        Read every file again, also those with the size and time that the newest backup has.

    Raises
    ------
    BackupError
        If the folders contain each other, the disk is full, or a table is damaged. Nothing new is listed then.

    Examples
    --------
    >>> import tempfile
    >>> from lake.care import backup
    >>> from lake.sources import tiny_market
    >>> from lake.tables import BARS
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = Lake(folder / "home" / "tables").merge(BARS, tiny_market(["AAA"], sessions=5, seed=1))
    >>> made = backup.create(folder / "home", folder / "backups")
    >>> made.tables, backup.verify(folder / "backups", [made])
    ({'bars': 1}, [])
    >>> restored = backup.restore(folder / "backups", made, folder / "restored")
    >>> Lake(restored / "tables").read(BARS).height
    5
    """
    home, root = home.absolute(), root.absolute()
    _require_apart(home, root)
    try:
        root.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
        with writing(root):
            blobs = Blobs(root)
            blobs.prepare()
            return _Backup(home, root, blobs, full=full).take(held)
    except OSError as error:
        raise BackupError(
            f"The backup of {home} into {root} was not made: {error}. Nothing new is listed; see to the file that is "
            "named, its rights or the room on its disk, and run the backup again."
        ) from error


def writing(root: Path) -> AbstractContextManager[None]:
    """Hold the lock of a backup folder: no other process adds to it or deletes from it."""
    return file_lock(root / LOCK, f"The folder of backups {root}")


class _Backup:
    """One backup while it is being made."""

    def __init__(self, home: Path, root: Path, blobs: Blobs, *, full: bool) -> None:
        self._home, self._root, self._blobs, self._full = home, root, blobs, full
        before = None if full else manifests.newest(root, home)
        self._known = {(file.path, file.size, file.mtime_ns): file.digest for file in before.files} if before else {}
        self._files: dict[str, File] = {}

    def take(self, held: Held) -> Manifest:
        created_at = datetime.now(UTC)
        for found in walk(self._home):
            if found.is_log:
                self._add(found)
        for folder in table_folders(self._home):  # so that little is left to copy while writers wait
            self._note_log(folder)
        with _point(self._home, held):
            started = time.perf_counter()
            for found in [found for found in walk(self._home) if not (found.is_log or found.is_later)]:
                self._add(found)
            tables = {folder.name: self._take_log(folder) for folder in table_folders(self._home)}
            seconds = time.perf_counter() - started
        for name, version in tables.items():
            self._take_data(self._home / TABLES / name, version)
        for found in walk(self._home):
            if found.is_later:
                self._add(found)
        made = Manifest(
            id=manifests.new_id(self._root, created_at),
            created_at=created_at,
            home=str(self._home),
            tables=tables,
            point_seconds=round(seconds, 3),
            files=tuple(self._files[name] for name in sorted(self._files)),
        ).sealed()
        manifests.write(self._root, made)
        return made

    def _add(self, found: Found, *, is_constant: bool = False) -> None:
        """Store a file; one that may change is read, whatever its modification time."""
        try:
            if is_sqlite(found.path):
                status = found.path.stat()
                digest, size = self._blobs.put_database(found.path)
            elif is_constant or found.is_later:
                status = found.path.stat()
                digest, size = self._constant(found, status.st_size, status.st_mtime_ns)
            else:
                status = found.path.stat()
                digest, size = self._blobs.put(found.path, even_if_there=self._full)
        except FileNotFoundError:
            if is_constant:
                raise
            return  # a small file that was taken away meanwhile is no part of the home any more
        mode = status.st_mode & 0o777
        self._files[found.name] = File(
            path=found.name, size=size, mode=mode, mtime_ns=status.st_mtime_ns, digest=digest
        )

    def _constant(self, found: Found, size: int, mtime_ns: int) -> tuple[str, int]:
        """Return the digest of a file that is written once: the known one where name, size and time are the same."""
        key = (found.name, size, mtime_ns)
        digest = self._known.get(key)
        if digest is None or not self._blobs.has(digest, size):
            digest, size = self._blobs.put(found.path, even_if_there=self._full)
            self._known[key] = digest
        return digest, size

    def _note_log(self, folder: Path) -> None:
        for found in self._log_files(folder):
            status = found.path.stat()
            self._constant(found, status.st_size, status.st_mtime_ns)

    def _take_log(self, folder: Path) -> int:
        """Store the log of a table as it is now, and return its newest version."""
        for found in self._log_files(folder):
            self._add(found, is_constant=found.path.name != MUTABLE)
        versions = delta_log.versions(folder)
        if not versions:
            raise BackupError(_damaged(folder.name, "its log has no entry"))
        return versions[-1]

    def _log_files(self, folder: Path) -> Iterator[Found]:
        for path in sorted((folder / LOG_FOLDER).iterdir()):
            if path.is_file() and (path.name[:20].isdigit() or path.name == MUTABLE):
                yield Found(path, path.relative_to(self._home).as_posix())

    def _take_data(self, folder: Path, version: int) -> None:
        """Store every data file of the versions up to this one; of older ones only what no vacuum has taken."""
        newest = snapshots.read(folder, snapshots.opened(folder, version, even_gone=True)).files
        sizes = dict(newest.select("path", "size_bytes").iter_rows())
        for path, size in sizes.items():
            found = Path(path).stat().st_size if Path(path).exists() else None
            if found != size:
                what = "is missing" if found is None else f"has {found:,} bytes, not {size:,}"
                raise BackupError(_damaged(folder.name, f"its data file {unquote(Path(path).name)} {what}"))
        for path, first, _ in snapshots.lives(folder):
            if first <= version and (str(path) in sizes or path.exists()):
                self._add(Found(path, path.relative_to(self._home).as_posix()), is_constant=True)


@contextmanager
def _point(home: Path, held: Held) -> Iterator[None]:
    """Hold the locks of all writers: those above the tables, then the tables by name, then the list of pins."""
    lake = Lake(home / TABLES)
    with ExitStack() as stack:
        stack.enter_context(held())
        for folder in table_folders(home):
            stack.enter_context(file_lock(lake.root / f".{folder.name}.lock", f"Table '{folder.name}'"))
        if lake.root.is_dir():
            stack.enter_context(pins_lock(lake))
        yield


def _require_apart(home: Path, root: Path) -> None:
    if not home.is_dir():
        raise BackupError(f"There is nothing to back up: {home} does not exist. Set QUANTLAKE_HOME to your home.")
    ours, theirs = home.resolve(), root.resolve()
    if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
        raise BackupError(
            f"The home {home} and the folder of backups {root} contain each other. Choose a folder beside it."
        )


def _damaged(table: str, what: str) -> str:
    return (
        f"Table '{table}' is damaged: {what}. Nothing is backed up, so that no backup of a damaged home takes the "
        f"place of a good one. `quantlake lake repair {table}` goes back to its last good version; then try again."
    )
