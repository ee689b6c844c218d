"""Weekly table maintenance: compaction, and deletion of unused files and log entries."""

import dagster as dg

from dagster_project.reports import plain
from dagster_project.resources import Platform


@dg.asset(group_name="lake", kinds={"delta"})
def table_maintenance(platform: Platform) -> dg.MaterializeResult:
    """Small files joined, old log entries and unused files deleted; every version in use stays readable."""
    from feature_repo.catalog import SPECS
    from lake.care import maintain_tables
    from serving.forecast_log import drain

    drain(platform.lake, platform.settings)  # what waits in the log names versions too

    done = maintain_tables(platform.lake, SPECS)
    return dg.MaterializeResult(metadata={report.name: dg.MetadataValue.json(plain(report.details)) for report in done})
