"""Compares the online store with the lake after each materialisation; differing values are not served."""

from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.plurals import counted
from dagster_project.reports import metadata_of
from dagster_project.resources import Platform

if TYPE_CHECKING:
    from feature_repo.online.parity import ParityReport

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
    passed = dg.AssetCheckResult(
        check_name=CHECK,
        passed=report.is_equal,
        description=_sentence(report, platform.lake.market.command("update")),
        metadata=dict(report.totals),
    )
    return dg.MaterializeResult(metadata=metadata_of(report.to_report()), check_results=[passed])


def _sentence(report: "ParityReport", remedy: str) -> str:
    """Say how many values were compared; of those that differ the first, and the next command."""
    compared = counted(sum(report.values.values()), "value")
    if report.is_equal:
        return f"{compared} compared"
    first, features = report.differences[0], counted(len(report.differences), "feature")
    example = first.examples[0] if first.examples else "no example"
    return (
        f"{sum(report.totals.values()):,} of {compared} differ from the lake's, in {features}, the first "
        f"{first.feature} of {first.view}: {example}. None of them is served any more. Next: `{remedy}`."
    )
