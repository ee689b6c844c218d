"""Backups of a running home: one consistent point, stored once by content, verified before it is restored."""

from lake.backup.blobs import Blobs
from lake.backup.creating import create
from lake.backup.manifest import Manifest, newest, read, read_all
from lake.backup.restoring import Fault, restore, verify
from lake.backup.retention import Listed, listing, prune

__all__ = [
    "Blobs",
    "Fault",
    "Listed",
    "Manifest",
    "create",
    "listing",
    "newest",
    "prune",
    "read",
    "read_all",
    "restore",
    "verify",
]
