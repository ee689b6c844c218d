"""How a metric is declared: name with its unit, kind, labels, meaning."""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram, values

from serving.monitoring.metrics.shared_files import Reserved

Kind = Literal["counter", "gauge", "histogram"]
Mode = Literal["livemax", "livesum", "mostrecent"]

PREFIX = "quantlake_"
SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
}
FAST = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
WHOLE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
JOBS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
RESIDUES = (1e-15, 1e-12, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 512, 5_000)

values.MmapedDict = Reserved  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Metric:
    """One declared number.

    Parameters
    ----------
    name
        Without what the kind adds to it in a scrape, see `series`.
    kind
        What Prometheus makes of it.
    meaning
        What it counts or measures, in one sentence.
    labels
        Names of its labels.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """Names under which a scrape shows it."""
        return tuple(f"{self.name}{suffix}" for suffix in SUFFIXES[self.kind])


METRICS: list[Metric] = []


class ManyAtOnce(Histogram):
    """A histogram that can take many observations with one write for each bucket they fall into.

    ``prometheus_client`` takes them one at a time, each with two writes into a shared file; its buckets are for
    subclasses alone.
    """

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observe several amounts."""
        self._sum.inc(sum(amounts))
        for place, number in Tally(bisect_left(self._upper_bounds, amount) for amount in amounts).items():
            self._buckets[place].inc(number)


def counter(name: str, meaning: str, *labels: str) -> Counter:
    """Declare a number that only grows."""
    METRICS.append(Metric(name, "counter", meaning, labels))
    return Counter(name, meaning, labels)


def gauge(name: str, meaning: str, *labels: str, mode: Mode) -> Gauge:
    """Declare a number that is set.

    Parameters
    ----------
    mode
        How the values of several processes become one: ``live`` modes cover running ones only; ``mostrecent`` is the
        last value set by any.
    """
    METRICS.append(Metric(name, "gauge", meaning, labels))
    return Gauge(name, meaning, labels, multiprocess_mode=mode)


def histogram(name: str, meaning: str, *labels: str, buckets: Sequence[float]) -> ManyAtOnce:
    """Declare a distribution.

    Parameters
    ----------
    buckets
        Upper limits of the buckets.
    """
    METRICS.append(Metric(name, "histogram", meaning, labels))
    return ManyAtOnce(name, meaning, labels, buckets=buckets)
