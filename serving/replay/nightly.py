"""Nightly replay: a sample of the newest forecasts is computed again and compared with the stored ones."""

from typing import TYPE_CHECKING

from lake.report import Report
from serving.replay.cases import identities
from serving.replay.findings import counts
from serving.replay.verify import replay_sample, without_receipt

if TYPE_CHECKING:
    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake

AMONG, SAMPLE = 5_000, 200
"""Number of the newest forecasts that a sample is drawn from, and its size."""


def judge_sample(lake: "Lake", settings: "Settings", clock: "Clock") -> Report:
    """Draw forecasts by the market's now, make them again, and compare.

    Returns
    -------
    Report
        ``rows`` counts those made again. ``details["verdicts"]`` counts by verdict; ``details["faults"]`` names what
        was altered, forecasts without a receipt that should have one, and a sample that proves nothing. It is empty
        when all is well, and when no forecast is stored yet.
    """
    seed = clock.now().isoformat()
    found = replay_sample(lake, settings, among=AMONG, size=SAMPLE, seed=seed)
    faults = sorted({str(fault) for result in found if result.verdict == "differs" for fault in result.faults})
    faults += without_receipt(lake, found)
    is_none = not identities(lake, settings, newest=1)
    if not found and not is_none:
        faults.append("forecasts are stored, and none of them could be drawn")
    verdicts = {str(verdict): count for verdict, count in counts(found).items()}
    if verdicts["differs"] and not faults:
        faults.append(f"{verdicts['differs']} forecasts differ")
    summary = "There is no forecast yet." if is_none else f"{len(found)} forecasts were made again."
    report = Report("replayed_forecasts", rows=len(found))
    return report.with_details(seed=seed, verdicts=verdicts, faults=faults, said=summary)
