"""List backups with what each takes on disk, and delete the older ones."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from lake.care.backup import manifest as manifests
from lake.care.backup.blobs import Blobs
from lake.care.backup.creating import writing
from lake.care.backup.manifest import Manifest
from lake.errors import BackupError


@dataclass(frozen=True)
class Listed:
    """A backup with what it takes on disk.

    Parameters
    ----------
    backup
        What it holds.
    own_bytes
        Contents that no other backup of the folder has: what deleting it would free.
    shared_bytes
        Contents that another one has as well.
    """

    backup: Manifest
    own_bytes: int
    shared_bytes: int


def listing(root: Path) -> tuple[list[Listed], list[str]]:
    """Return every backup of a folder, the newest first, and an error message for each that cannot be read."""
    found, damaged = manifests.read_all(root)
    users = Counter(digest for backup in found for digest in backup.contents)
    listed = []
    for backup in reversed(found):
        own = sum(size for digest, size in backup.contents.items() if users[digest] == 1)
        listed.append(Listed(backup, own, sum(backup.contents.values()) - own))
    return listed, damaged


def prune(root: Path, keep: int) -> tuple[list[str], int]:
    """Delete all but the newest backups of each home, then the contents that none of the rest names.

    Contents are deleted last: after a kill in between, the next call deletes those that nobody names.

    Returns
    -------
    tuple of list and int
        Names of the deleted backups, and the bytes that were freed.

    Raises
    ------
    BackupError
        If nothing would be kept, or a manifest cannot be read: which contents it names is not known then.
    """
    if keep < 1:
        raise BackupError(f"At least one backup of a home is kept; {keep} was asked for.")
    with writing(root):
        found, damaged = manifests.read_all(root)
        if damaged:
            raise BackupError(f"Nothing is deleted, because a backup cannot be read: {damaged[0]}")
        of_home: dict[str, list[Manifest]] = defaultdict(list)
        for backup in found:
            of_home[backup.home].append(backup)
        surplus = [backup for backups in of_home.values() for backup in backups[:-keep]]
        for backup in surplus:
            manifests.remove(root, backup.id)
        gone = {backup.id for backup in surplus}
        needed = {digest for backup in found if backup.id not in gone for digest in backup.contents}
        freed = 0
        for path in Blobs(root).everything():
            if path.name not in needed:
                freed += path.stat().st_size
                path.unlink()
    return sorted(gone), freed
