"""Contents of backed-up files, each stored once under its SHA-256, whichever backups name it."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from lake.disk import OWNER_ONLY, flush, is_own_folder
from lake.errors import BackupError

CHUNK = 1 << 20
BUSY_SECONDS = 120.0
TRIES = 3
TEMPORARY = ".new-"
OWNER_ONLY_FOLDER = 0o700
OTHERS_WRITE = 0o022
STORE, MANIFESTS, LOCK = "store", "backups", ".writing.lock"
"""All that a folder of backups holds."""


class Blobs:
    """Content-addressed files in a folder of backups.

    Parameters
    ----------
    root
        Folder of the backups; made, for its owner alone, where it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / STORE

    def prepare(self) -> None:
        """Make the folders, and remove temporary files of a killed writer. The caller holds the lock of the folder.

        Raises
        ------
        BackupError
            If another user could put something in the place of a backup.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
        _require_own(self.folder.parent)
        for folder in (self.folder, self.folder.with_name(MANIFESTS)):
            folder.mkdir(exist_ok=True, mode=OWNER_ONLY_FOLDER)
            if not is_own_folder(folder):
                raise BackupError(_not_ours(folder, folder.lstat(), self.folder.parent))
            folder.chmod(OWNER_ONLY_FOLDER)
        for left in self.folder.glob(f"{TEMPORARY}*"):
            left.unlink()

    def path(self, digest: str) -> Path:
        """Return the path of a content, stored or not."""
        return self.folder / digest[:2] / digest

    def has(self, digest: str, size: int) -> bool:
        """Whether a content of this size is stored; its bytes are not read."""
        try:
            return self.path(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def put(self, source: Path, *, even_if_there: bool = False) -> tuple[str, int]:
        """Store the content of a file durably.

        Parameters
        ----------
        even_if_there
            Write the content again where it is stored already, in case the disk has changed it.

        Returns
        -------
        tuple of str and int
            Its SHA-256 in hex, and its size in bytes.

        Raises
        ------
        BackupError
            If the file is changed each time it is read, or the disk is full.
        FileNotFoundError
            If the file is gone.
        """
        for _ in range(TRIES):
            digest, size = digest_of(source)
            if not even_if_there and self.has(digest, size):
                return digest, size
            with self._fresh() as fresh:
                if _copied(source, fresh) == digest:
                    self._keep(fresh, digest)
                    return digest, size
        raise BackupError(
            f"{source} was changed each of {TRIES} times it was read. Stop what writes it, and try again."
        )

    def put_database(self, source: Path) -> tuple[str, int]:
        """Store a consistent copy of an SQLite database, while other processes write to it."""
        with self._fresh() as fresh:
            address = f"file:{quote(str(source))}?mode=rw"
            try:
                with (
                    closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as database,
                    closing(sqlite3.connect(fresh)) as copy,
                ):
                    database.backup(copy)
            except sqlite3.Error as error:
                raise BackupError(
                    f"{source} cannot be copied: {error}. Look at the free space of {self.folder} first; if there is "
                    "enough, the database is damaged, and `quantlake doctor` names the remedy."
                ) from error
            flush(fresh)
            digest, size = digest_of(fresh)
            if not self.has(digest, size):
                self._keep(fresh, digest)
        return digest, size

    def everything(self) -> Iterator[Path]:
        """Return the path of every stored content."""
        return (path for path in self.folder.glob("??/*") if path.is_file())

    @contextmanager
    def _fresh(self) -> Iterator[Path]:
        """Make a temporary file, deleted afterwards unless it was kept."""
        fresh = self.folder / f"{TEMPORARY}{os.getpid()}"
        try:
            os.close(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, OWNER_ONLY))
            yield fresh
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise BackupError(
                f"The backup cannot be written to {self.folder}: {error}. What was backed up before is untouched; make "
                "room, e.g. with `quantlake backup prune --keep 2`, and run the backup again: it goes on from here."
            ) from error
        finally:
            fresh.unlink(missing_ok=True)

    def _keep(self, fresh: Path, digest: str) -> None:
        place = self.path(digest)
        if not place.parent.is_dir():
            place.parent.mkdir(mode=OWNER_ONLY_FOLDER)
            flush(self.folder)
        fresh.replace(place)
        flush(place.parent)


def _require_own(root: Path) -> None:
    """Close a folder that holds backups and nothing else; any other keeps its rights, and others may not write to it.

    It may be a folder of somebody's whole work, or of the whole machine.
    """
    found = root.stat()
    is_own = found.st_uid == os.geteuid()
    if is_own and {path.name for path in root.iterdir()} <= {STORE, MANIFESTS, LOCK}:
        root.chmod(OWNER_ONLY_FOLDER)
    elif not is_own or found.st_mode & OTHERS_WRITE:
        raise BackupError(_not_ours(root, found, root))


def _not_ours(folder: Path, found: os.stat_result, root: Path) -> str:
    return (
        f"{folder} belongs to user {found.st_uid} with mode {found.st_mode & 0o7777:o}, expected a folder of user "
        f"{os.geteuid()} that nobody else may write to: backups hold the API keys. Choose a folder that does not exist "
        f"yet, e.g. --to {root / 'quantlake'}."
    )


def digest_of(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a file in hex, and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def copy_hashed(source: Path, copy: BinaryIO) -> str:
    """Copy a file into an open one; return the SHA-256 of what was read, in hex."""
    digest = hashlib.sha256()
    with source.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    copy.flush()
    return digest.hexdigest()


def _copied(source: Path, fresh: Path) -> str:
    """Copy a file durably; return the SHA-256 of what was read."""
    with fresh.open("wb") as copy:
        digest = copy_hashed(source, copy)
        os.fsync(copy.fileno())
    return digest
