"""Check of the age of the newest backup, where backups are configured."""

from datetime import UTC, datetime, timedelta

from dagster_project.checks.health.finding import HealthFinding
from lake.settings import Settings

OLDEST = timedelta(days=8)
"""A day more than the schedule of the backup drill leaves between two."""


def backups(configured: Settings) -> list[HealthFinding]:
    """Look at when this home was last backed up; where no folder is configured there is nothing to look at."""
    from serving.monitoring.backup_state import read_backup_state

    if configured.backups is None:
        return []
    made = read_backup_state(configured).backed_up_at
    if made is not None and datetime.now(UTC) - made <= OLDEST:
        return []
    age = "there is none yet" if made is None else f"the newest is of {made:%Y-%m-%d %H:%M} UTC"
    meaning = f"{age}; at least one in {OLDEST.days} days is expected. What is lost since cannot be restored"
    return [HealthFinding("old backup", configured.backups, meaning, "quantlake backup create", is_damage=False)]
