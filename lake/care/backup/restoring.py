"""Verify a backup against its digests, and restore it as a home in another place: all of it or nothing."""

import errno
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.care.backup.blobs import OWNER_ONLY_FOLDER, Blobs, copy_hashed, digest_of
from lake.care.backup.manifest import File, Manifest
from lake.disk import OWNER_ONLY, file_lock, flush
from lake.errors import BackupError

SHOWN = 3
SPARE_BYTES = 16 << 20


@dataclass(frozen=True)
class Fault:
    """A content that is not what was stored.

    Parameters
    ----------
    stored
        File in the folder of backups.
    what
        ``missing``, or how it differs.
    files
        Files of homes that are made of it, as ``backup/path``.
    """

    stored: Path
    what: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.files) - SHOWN} more" if len(self.files) > SHOWN else ""
        return f"{self.stored} {self.what}: it is {', '.join(self.files[:SHOWN])}{more}"


def verify(root: Path, backups: Sequence[Manifest]) -> list[Fault]:
    """Read every content of these backups and compare it with its digest; an empty list means that all are intact."""
    blobs = Blobs(root.absolute())
    named: dict[tuple[str, int], list[str]] = defaultdict(list)
    for backup in backups:
        for file in backup.files:
            named[file.digest, file.size].append(f"{backup.id}/{file.path}")
    faults = []
    for (digest, size), files in named.items():
        if what := _fault(blobs.path(digest), digest, size):
            faults.append(Fault(blobs.path(digest), what, tuple(files)))
    return faults


def restore(root: Path, backup: Manifest, into: Path) -> Path:
    """Restore a backup as a home: beside its place first, then renamed, so that half of one is never taken for it.

    Parameters
    ----------
    into
        A folder that does not exist, or is empty.

    Raises
    ------
    BackupError
        If there is something in the folder, the backup is damaged, or the disk has no room for it. Nothing is written
        then; a disk that fills up meanwhile leaves nothing behind.
    """
    into = into.absolute()
    _require_empty(into)
    if faults := verify(root, [backup]):
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise BackupError(
            f"Backup {backup.id} is damaged, and nothing was restored: {'; '.join(map(str, faults[:SHOWN]))}{more}. "
            "Take another one from `quantlake backup list`."
        )
    into.parent.mkdir(parents=True, exist_ok=True)
    fresh = into.with_name(f".{into.name}.restoring")
    with file_lock(fresh.with_name(f"{fresh.name}.lock"), f"The restoring of {into}"):
        shutil.rmtree(fresh, ignore_errors=True)  # of one that was cut off
        if (free := shutil.disk_usage(into.parent).free) < backup.size + SPARE_BYTES:
            raise BackupError(f"{into.parent} has {free:,} free bytes, and backup {backup.id} takes {backup.size:,}.")
        try:
            _write_all(Blobs(root.absolute()), backup.files, fresh)
            _require_empty(into)
            fresh.replace(into)
            flush(into.parent)
        except OSError as error:
            raise BackupError(
                f"Backup {backup.id} could not be restored into {into}: {error}. Nothing is left of it."
            ) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    fresh.with_name(f"{fresh.name}.lock").unlink(missing_ok=True)
    return into


def _write_all(blobs: Blobs, files: Sequence[File], fresh: Path) -> None:
    folders = {fresh}
    fresh.mkdir(mode=OWNER_ONLY_FOLDER)
    for file in files:
        target = fresh / file.path
        missing = [folder for folder in target.parents if folder.is_relative_to(fresh) and folder not in folders]
        for folder in reversed(missing):
            folder.mkdir(mode=OWNER_ONLY_FOLDER)
            folders.add(folder)
        _write(blobs.path(file.digest), target, file)
    for folder in sorted(folders, reverse=True):
        flush(folder)


def _write(stored: Path, target: Path, file: File) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as copy:
        if (
            copy_hashed(stored, copy) != file.digest
        ):  # verified a moment ago, so the disk, or somebody, changed it since
            raise OSError(errno.EIO, "it changed after it was verified", str(stored))
        os.fchmod(copy.fileno(), file.mode)
        os.utime(copy.fileno(), ns=(file.mtime_ns, file.mtime_ns))
        os.fsync(copy.fileno())


def _fault(stored: Path, digest: str, size: int) -> str:
    try:
        found, found_size = digest_of(stored)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if found_size != size:
        return f"has {found_size:,} bytes, not {size:,}"
    return "" if found == digest else f"was altered (SHA-256 {found[:12]}, not {digest[:12]})"


def _require_empty(into: Path) -> None:
    if into.is_symlink() or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
        raise BackupError(
            f"{into} is not empty, and nothing is restored over it. Choose a folder that does not exist yet."
        )
