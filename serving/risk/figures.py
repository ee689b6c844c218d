"""How much of each limit is used, in a small file: written by the daily job, exported by the service as metrics."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lake.clock import Clock
from lake.disk import write_durably
from lake.errors import NotReadyError
from lake.report import Report
from lake.store import Lake
from serving.alerting import read_alerts
from serving.monitoring import metrics
from serving.risk.latch import read_latch
from serving.risk.limits import FOLDER, limits_of
from serving.risk.report import risk_report
from serving.risk.states import STATES

if TYPE_CHECKING:
    from lake.settings import Settings

FILE = "figures.json"
NEVER_RELEASED = -1
"""State of a home whose switch nobody has released yet: it is halted, and nobody has to be woken for that."""


def update_risk_figures(lake: Lake, configured: "Settings", clock: Clock) -> Report:
    """Write how much of each limit the paper portfolio uses.

    Returns
    -------
    Report
        Skipped, with the reason, where there is no portfolio yet; ``warnings`` name the limits whose soft value is
        exceeded.
    """
    started = time.perf_counter()
    report = Report("risk_figures")
    try:
        found = risk_report(lake, clock.now(), limits_of(configured))
    except NotReadyError as error:
        return report.with_details(seconds=time.perf_counter() - started, skipped=True, reason=str(error))
    ratios = {each.name: each.ratio for each in found.limits if each.ratio is not None}
    write_durably(figures_path(configured.home), json.dumps({"at": found.at.isoformat(), "ratios": ratios}))
    beyond = [
        f"{e.name} is {e.used:.4g}, soft {e.soft:g}" for e in found.limits if e.used is not None and e.used > e.soft
    ]
    return report.with_details(seconds=time.perf_counter() - started, warnings=tuple(beyond))


def figures_path(home: Path) -> Path:
    """Return where the file of a home is."""
    return home / FOLDER / FILE


def show_risk(configured: "Settings") -> None:
    """Set the metrics of the switch, the limits and the alerts; a file that cannot be read sets none of the limits."""
    found = read_latch(configured.home)
    metrics.RISK_STATE.set(NEVER_RELEASED if found.is_new else STATES.index(found.worst))
    records = [each for each in read_alerts(configured.home) if each.state != "resolved"]
    for state in ("firing", "acknowledged"):
        metrics.ALERTS.labels(state).set(sum(each.state == state for each in records))
    metrics.ALERTS_UNDELIVERED.set(sum(each.is_undelivered for each in records))
    try:
        ratios = json.loads(figures_path(configured.home).read_text(encoding="utf-8"))["ratios"]
    except (OSError, ValueError, KeyError):
        return
    for name, ratio in ratios.items():
        metrics.LIMIT_USED.labels(name).set(ratio)
