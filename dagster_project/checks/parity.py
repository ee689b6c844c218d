"""Compares the online store with the lake after each materialisation; differing values are not served."""

import dagster as dg

from dagster_project.reports import metadata_of
from dagster_project.resources import Platform

CHECK = "online_equals_offline"


@dg.asset(
    group_name="features",
    deps=["online_store"],
    kinds={"polars", "redis"},
    check_specs=[
        dg.AssetCheckSpec(
            CHECK, asset="feature_parity", blocking=True, description="No value differs from the lake's in any bit."
        )
    ],
)
def feature_parity(platform: Platform) -> dg.MaterializeResult:
    """Mismatching, missing and extra values of every feature online; any at all, and the online store is emptied."""
    from feature_repo.online import compare_stores, withdraw

    report = compare_stores(platform.lake, platform.settings)
    if not report.is_equal:
        withdraw(platform.settings)
    passed = dg.AssetCheckResult(check_name=CHECK, passed=report.is_equal, metadata=dict(report.totals))
    return dg.MaterializeResult(metadata=metadata_of(report.to_report()), check_results=[passed])
