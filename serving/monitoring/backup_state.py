"""Times of the last backup and the last restore test, in a small file that the service exports as metrics."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from lake.disk import write_durably
from serving.monitoring import metrics

if TYPE_CHECKING:
    from lake.settings import Settings

FILE = "backups.json"


class BackupState(BaseModel):
    """Times of the last backup and restore test of a home; None where there was none yet.

    Parameters
    ----------
    backed_up_at
        When the newest whole backup was begun.
    drilled_at
        When a backup was last restored and found whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backed_up_at: datetime | None = None
    drilled_at: datetime | None = None


def read_backup_state(configured: "Settings") -> BackupState:
    """Return what the file says; nothing where there is none, or none of this version."""
    try:
        return BackupState.model_validate_json(state_path(configured).read_bytes())
    except (OSError, ValidationError):
        return BackupState()


def note_backup(configured: "Settings", **times: datetime) -> None:
    """Write down one of the times, and leave the other as it is."""
    write_durably(state_path(configured), read_backup_state(configured).model_copy(update=times).model_dump_json())


def show_backup_state(configured: "Settings") -> None:
    """Set the metrics; 0 stands for never."""
    state = read_backup_state(configured)
    metrics.BACKUPS_CONFIGURED.set(configured.backups is not None)
    for gauge, at in ((metrics.BACKED_UP, state.backed_up_at), (metrics.DRILLED, state.drilled_at)):
        gauge.set(0 if at is None else at.timestamp())


def state_path(configured: "Settings") -> Path:
    """Path of the file; it is excluded from backups, because a restored home has no backup yet."""
    return configured.home / FILE
