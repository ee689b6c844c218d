"""Desk assets: the account on paper decides at each close, and a back-test over its period is compared with it."""

import dagster as dg

from dagster_project.reports import materialized
from dagster_project.resources import Platform

GROUP = "feedback"


@dg.asset(
    group_name=GROUP,
    deps=["scheduled_forecasts", "bars", "selections", "strategy_returns", "replayed_forecasts"],
    kinds={"sqlite", "delta"},
)
def paper_desk(platform: Platform) -> dg.MaterializeResult:
    """What the desk decided at the newest close, and what became of its orders, beside 1/N."""
    from serving.desk import update_desk

    return materialized(update_desk(platform.lake, platform.settings, platform.clock))


@dg.asset(group_name=GROUP, deps=[paper_desk], kinds={"numpy"})
def reconciliation(platform: Platform) -> dg.MaterializeResult:
    """Whether a back-test over the paper period has the same fills as the desk, each to the last bit."""
    from serving.desk import update_reconciliation

    return materialized(update_reconciliation(platform.lake, platform.settings, platform.clock))
