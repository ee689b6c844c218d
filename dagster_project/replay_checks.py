"""Forecasts made again from the tables as they stood: while one of a sample differs, nothing is learned from them."""

import dagster as dg

from dagster_project.reports import metadata_of
from dagster_project.resources import Platform

CHECK = "forecasts_replay_equal"
AMONG, SAMPLE = 5_000, 200
"""How many of the newest forecasts are drawn from, and how many are drawn."""


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
    """A seeded sample of the newest forecasts, made again and compared with what is stored."""
    from lake.report import Report
    from serving.receipts.cases import identities
    from serving.receipts.findings import counts
    from serving.receipts.verify import replay_sample, without_receipt

    seed = platform.clock.now().isoformat()
    found = replay_sample(platform.lake, platform.settings, among=AMONG, size=SAMPLE, seed=seed)
    faults = sorted({str(fault) for one in found if one.verdict == "differs" for fault in one.faults})
    faults += without_receipt(platform.lake, found)
    is_none = not identities(platform.lake, platform.settings, newest=1)
    if not found and not is_none:
        faults.append("forecasts are stored, and none of them could be drawn")
    said = "There is no forecast yet." if is_none else f"{len(found)} forecasts were made again."
    verdicts = {str(verdict): count for verdict, count in counts(found).items()}
    passed = dg.AssetCheckResult(
        check_name=CHECK,
        passed=not verdicts["differs"] and not faults,
        description=said,
        metadata={"verdicts": dg.MetadataValue.json(verdicts), "faults": dg.MetadataValue.json(faults)},
    )
    report = Report("replayed_forecasts", rows=len(found)).having(seed=seed, verdicts=verdicts)
    return dg.MaterializeResult(metadata=metadata_of(report), check_results=[passed])
