"""Backups of a running home: one consistent point, stored once by content, verified before it is restored."""

from lake.care.backup.blobs import Blobs
from lake.care.backup.creating import create
from lake.care.backup.manifest import Manifest, newest, read, read_all
from lake.care.backup.restoring import Fault, restore, verify
from lake.care.backup.retention import Listed, listing, prune

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
