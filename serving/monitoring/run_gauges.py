"""Gauges of assets, their checks and jobs, from what Dagster's run storage says."""

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from lake.errors import DamagedFileError, NotReadyError
from serving.monitoring import metrics
from serving.monitoring.run_history import SEVERITIES, RunHistory, run_history

if TYPE_CHECKING:
    from lake.settings import Settings

logger = logging.getLogger("quantlake.serving")


@dataclass
class RunGauges:
    """Sets the gauges from the run storage of one home, look by look.

    Parameters
    ----------
    configured
        Settings of the home.
    """

    configured: "Settings"
    _problem: str = field(default="", init=False)

    def look(self, now: datetime) -> None:
        """Read the run storage and set the gauges.

        A home in which nothing was run sets none. A storage that cannot be read leaves the gauges as they were and is
        told in the log once, not at each look.

        Parameters
        ----------
        now
            Instant by the wall clock, against which ages are measured.
        """
        try:
            found = run_history(self.configured)
        except NotReadyError:
            return
        except DamagedFileError as error:
            if self._problem != str(error):
                logger.warning("the run history cannot be shown as metrics", extra={"reason": str(error)})
            self._problem = str(error)
            return
        self._problem = ""
        show_runs(found, now)


def show_runs(found: RunHistory, now: datetime) -> None:
    """Set the gauges; ages are in seconds of the wall clock."""
    for asset, at in found.made.items():
        metrics.ASSET_AGE_SECONDS.labels(asset).set((now - at).total_seconds())
    for job, at in found.succeeded.items():
        metrics.JOB_AGE_SECONDS.labels(job).set((now - at).total_seconds())
    oldest = found.queue[0].at if found.queue else now
    metrics.RUN_WAITING_SECONDS.set((now - oldest).total_seconds())
    for asset in found.checked:
        for severity in SEVERITIES.values():
            # A check that passes again is a zero: a series that is not set keeps its last value.
            failing = sum(each.table == asset and each.severity == severity for each in found.failing)
            metrics.ASSET_CHECKS_FAILED.labels(asset, severity).set(failing)
