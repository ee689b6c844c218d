"""Whose key asked for the rows of a log; it can be deleted, and the rows stay."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from serving.row_log.log_file import RowLog, opened_log, row_log_path

if TYPE_CHECKING:
    from lake.settings import Settings


def asked_with(log: RowLog, configured: "Settings", key_id: str) -> list[str]:
    """Return the ids of the rows that were made for a key."""
    if not row_log_path(log, configured).exists():
        return []
    with opened_log(log, configured) as connection:
        found = connection.execute("SELECT id FROM asked WHERE key_id = ?", (key_id,))
        return [row_id for (row_id,) in found]


def asked_by(log: RowLog, configured: "Settings", row_id: str) -> str:
    """Return the key that a row was made for; empty where none is known."""
    if not row_log_path(log, configured).exists():
        return ""
    with opened_log(log, configured) as connection:
        found = connection.execute("SELECT key_id FROM asked WHERE id = ?", (row_id,)).fetchone()
    return "" if found is None else str(found[0])


def askers(log: RowLog, configured: "Settings") -> set[str]:
    """Return every key that rows were made for."""
    if not row_log_path(log, configured).exists():
        return set()
    with opened_log(log, configured) as connection:
        return {key_id for (key_id,) in connection.execute("SELECT DISTINCT key_id FROM asked")}


def forget_askers(log: RowLog, configured: "Settings", key_ids: Iterable[str]) -> int:
    """Delete who asked, so that the bytes are gone from the file too; how many rows had one of these keys."""
    if not row_log_path(log, configured).exists():
        return 0
    with opened_log(log, configured) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            before = connection.total_changes
            connection.executemany("DELETE FROM asked WHERE key_id = ?", [(key_id,) for key_id in key_ids])
            deleted = connection.total_changes - before
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return deleted
