"""Exposition: the declared numbers of all processes of one endpoint, as Prometheus reads them."""

import os
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from serving.monitoring.metrics.declaring import PREFIX
from serving.monitoring.metrics.observing import flush
from serving.monitoring.metrics.pages import PAGE_METRICS
from serving.processes import metrics_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric as Family

    from lake.settings import Settings


def exposition(configured: "Settings") -> bytes:
    """Return our numbers in Prometheus' text form, those of all workers added up."""
    flush()
    forget_dead_workers(configured)
    return generate_latest(_Families(lambda name: name.startswith(PREFIX)))


def page_exposition() -> bytes:
    """Return the numbers of the dashboard alone: its process would show those of the endpoint as zero."""
    flush()
    return generate_latest(_Families(PAGE_METRICS.__contains__))


def forget_dead_workers(configured: "Settings") -> None:
    """Remove the live gauges of ended workers; their counters stay."""
    for path in metrics_folder(configured).glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not _is_running(int(pid)):
            mark_process_dead(pid, str(path.parent))  # type: ignore[no-untyped-call]


class _Families:
    """Collector of some families only, without those that libraries register.

    Parameters
    ----------
    is_shown
        Whether a family is among them, by its name.
    """

    def __init__(self, is_shown: "Callable[[str], bool]") -> None:
        self._is_shown = is_shown

    def collect(self) -> "Iterator[Family]":
        """Yield the families that are shown."""
        source: Any = REGISTRY
        if values.ValueClass is not values.MutexValue:
            source = MultiProcessCollector(CollectorRegistry())  # type: ignore[no-untyped-call]
        return (family for family in source.collect() if self._is_shown(family.name))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
