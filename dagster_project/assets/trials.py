"""Trial assets: challengers are compared with their champion on matured outcomes; a worse canary ends."""

import dagster as dg

from dagster_project.reports import materialized
from dagster_project.resources import Platform


@dg.asset(group_name="feedback", deps=["outcomes"], kinds={"polars"})
def canary_verdict(platform: Platform) -> dg.MaterializeResult:
    """What the paired losses of each challenger say; a worse canary is taken back."""
    from serving.deployment import roll_back_canary

    return materialized(roll_back_canary(platform.lake, platform.settings, platform.clock))
