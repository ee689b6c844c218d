"""Asset of data quality: findings, scores, and the quality page of the market."""

import dagster as dg

from dagster_project.reports import materialized
from dagster_project.resources import Platform


@dg.asset(group_name="quality", deps=["bars", "actions", "quarantine"], kinds={"delta"})
def data_quality(platform: Platform) -> dg.MaterializeResult:
    """What looks odd, a score per source and session, and a page that shows both; no row is changed or refused."""
    from lake.assessment import PAGE, report_quality

    return materialized(report_quality(platform.lake, platform.clock, platform.settings.reports / PAGE))
