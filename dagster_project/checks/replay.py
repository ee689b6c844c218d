"""Replays a sample of stored forecasts; strategy selection does not run while one differs."""

import dagster as dg

from dagster_project.reports import metadata_of
from dagster_project.resources import Platform

CHECK = "forecasts_replay_equal"


@dg.asset(
    group_name="serving",
    deps=["forecasts"],
    kinds={"onnx", "delta"},
    check_specs=[
        dg.AssetCheckSpec(
            CHECK, asset="replayed_forecasts", blocking=True, description="Each of a sample comes out as it is stored."
        )
    ],
)
def replayed_forecasts(platform: Platform) -> dg.MaterializeResult:
    """A seeded sample of the newest forecasts, recomputed and compared with the stored ones."""
    from serving.replay import judge_sample

    report = judge_sample(platform.lake, platform.settings, platform.clock)
    details = report.details
    passed = dg.AssetCheckResult(
        check_name=CHECK,
        passed=not details["faults"],
        description=details["said"],
        metadata={name: dg.MetadataValue.json(details[name]) for name in ("verdicts", "faults")},
    )
    return dg.MaterializeResult(metadata=metadata_of(report), check_results=[passed])
