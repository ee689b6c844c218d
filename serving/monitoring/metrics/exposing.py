"""Exposition: the declared numbers of all processes of one endpoint, as Prometheus reads them."""

import os
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from serving.monitoring.metrics.declaring import PREFIX
from serving.monitoring.metrics.observing import flush
from serving.processes import metrics_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric as Family

    from lake.settings import Settings


def exposition(configured: "Settings") -> bytes:
    """Return our numbers in Prometheus' text form, those of all workers added up."""
    flush()
    forget_dead_workers(configured)
    return generate_latest(_Ours())


def forget_dead_workers(configured: "Settings") -> None:
    """Remove the live gauges of ended workers; their counters stay."""
    for path in metrics_folder(configured).glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not _is_running(int(pid)):
            mark_process_dead(pid, str(path.parent))  # type: ignore[no-untyped-call]


class _Ours:
    """Collector of the declared metrics only, without those that libraries register."""

    def collect(self) -> "Iterator[Family]":
        """Yield the families that are declared here."""
        source: Any = REGISTRY
        if values.ValueClass is not values.MutexValue:
            source = MultiProcessCollector(CollectorRegistry())  # type: ignore[no-untyped-call]
        return (family for family in source.collect() if family.name.startswith(PREFIX))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
