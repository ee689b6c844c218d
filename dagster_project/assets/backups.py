"""Asset of the weekly restore test of the newest backup."""

import dagster as dg

from dagster_project.reports import materialized
from dagster_project.resources import Platform


@dg.asset(group_name="lake", kinds={"sqlite", "delta"})
def backup_drill(platform: Platform) -> dg.MaterializeResult:
    """A new backup, restored into a scratch folder, looked at as a whole, a sample of its forecasts made again."""
    from serving.backups import drill

    return materialized(drill(platform.settings))
