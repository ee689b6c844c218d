"""Every metric of the platform, declared in one place: name with its unit, kind, labels, meaning.

What computes a number imports its collector from here. Labels take few values, all of them ours: never a symbol, an id
or a text of a client, so that the series stay countable whatever is asked. With several workers each writes its share
into files of a common folder, and whichever answers a scrape adds them up.
"""

import os
import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from serving.processes import metrics_folder

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

    from feature_repo.online import Degradation
    from lake.settings import Settings
    from serving.monitoring.stopwatch import Stopwatch

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
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 512, 5_000)


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


RESERVED_BYTES = 1_048_576
"""Room for some thousand series, in each of the five files of a worker."""


class Reserved(MmapedDict):
    """A file that workers share numbers in, with its room taken from the volume when it is made.

    ``prometheus_client`` maps a file with holes: where the volume is full, the first number in a hole is a SIGBUS,
    which ends the worker. Without the room the worker does not start, and says so.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            with open(filename, "ab") as file:  # noqa: PTH123 - a text, as its base has it
                os.posix_fallocate(file.fileno(), 0, RESERVED_BYTES)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]


values.MmapedDict = Reserved  # type: ignore[attr-defined]

METRICS: list[Metric] = []


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    METRICS.append(Metric(name, "counter", meaning, labels))
    return Counter(name, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str, mode: Mode) -> Gauge:
    """``live`` modes cover running workers only; ``mostrecent`` is the last value set by any worker."""
    METRICS.append(Metric(name, "gauge", meaning, labels))
    return Gauge(name, meaning, labels, multiprocess_mode=mode)


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


def _histogram(name: str, meaning: str, *labels: str, buckets: Sequence[float]) -> ManyAtOnce:
    METRICS.append(Metric(name, "histogram", meaning, labels))
    return ManyAtOnce(name, meaning, labels, buckets=buckets)


REQUEST_SECONDS = _histogram(
    "quantlake_request_seconds",
    "Time from a request's arrival to its answer, by route and status",
    "route",
    "status",
    buckets=WHOLE,
)
PROBLEMS = _counter(
    "quantlake_problems",
    "Requests that were refused or failed, by kind of problem (see /problems)",
    "problem",
    "status",
)
STAGE_SECONDS = _histogram(
    "quantlake_stage_seconds",
    "Time of a micro-batch in each stage: wait (of the question that waited longest), read (online store), compute "
    "(engines and calibration), compose, log (until it is on disk)",
    "stage",
    buckets=FAST,
)
ENGINE_SECONDS = _histogram(
    "quantlake_engine_seconds", "Time of one engine call, by model in service", "model", buckets=FAST
)
BATCH_ROWS = _histogram("quantlake_batch_rows", "Forecasts computed together", buckets=ROWS)
FORECASTS = _counter(
    "quantlake_forecasts",
    "Forecasts on disk, by what computed them, selected strategy and kind",
    "model",
    "strategy",
    "kind",
)
DEGRADED = _counter(
    "quantlake_degraded_forecasts",
    "Forecasts read from the copy in memory, by what Redis does: refused, timeout, failed, left_alone, empty, "
    "unverified, unusable",
    "reason",
)
ONLINE_UNVERIFIED = _counter(
    "quantlake_online_unverified",
    "Values of the online store that are not what was stored last under their key, each time one was read, by view",
    "view",
)
ONLINE_REPAIRS = _counter("quantlake_online_repairs", "Times the online store was filled again from the tables")
REDIS_RESTARTS = _gauge(
    "quantlake_redis_restarts",
    "How often the embedded server of this home was started again after it had died; looked at every 15 s",
    mode="mostrecent",
)
LATEST = _counter("quantlake_latest", "Newest forecasts looked up, by what answered: cache, log or table", "source")
LATEST_WRITTEN = _counter("quantlake_latest_written", "Newest forecasts handed to the cache")
LATEST_FAILURES = _counter(
    "quantlake_latest_write_failures", "Times the cache of newest forecasts could not be written; it is tried again"
)
LIMITED = _counter(
    "quantlake_limited_requests",
    "Requests of keys with a limit, by where they were counted: shared (home and Redis), local (home alone, Redis is "
    "away), refused (operators while Redis is away, and all while the home's ledger cannot be written)",
    "counted",
)
STREAMS = _gauge("quantlake_stream_connections", "Open WebSockets", mode="livesum")
STREAM_UPDATES = _counter("quantlake_stream_updates", "Updates put into the queue of a WebSocket")
STREAM_DROPPED = _counter("quantlake_stream_dropped", "WebSockets closed because they were too slow")
STREAM_DELAY_SECONDS = _gauge(
    "quantlake_stream_delay_seconds",
    "From a forecast's making to its sending to subscribers, the last one",
    mode="livemax",
)
MODEL_INFO = _gauge(
    "quantlake_model_info",
    "1 for each model version in service or on trial, with the first letters of its digest; 0 once it is gone",
    "model",
    "version",
    "digest",
    "role",
    mode="livemax",
)
MODEL_EXCHANGES = _counter("quantlake_model_exchanges", "Times a worker took up another set of models")
MODEL_REFUSALS = _counter("quantlake_model_refusals", "Versions that a worker refused to put in service", "model")
WORKERS = _gauge("quantlake_workers", "Workers that are up", mode="livesum")
READY = _gauge(
    "quantlake_ready", "1 while a forecast can be made, 0 while not; looked at every 15 s", mode="mostrecent"
)
FEATURES_AGE_SECONDS = _gauge(
    "quantlake_features_age_seconds", "Market time since the session of the newest model input", mode="mostrecent"
)
FEATURES_AGE_SESSIONS = _gauge(
    "quantlake_features_age_sessions",
    "Sessions that have closed since that of the newest model input",
    mode="mostrecent",
)
LOG_WAITING = _gauge("quantlake_log_waiting_rows", "Forecasts on disk that are not in the lake yet", mode="mostrecent")
BACKUPS_CONFIGURED = _gauge(
    "quantlake_backups_configured", "1 where QUANTLAKE_BACKUPS names a folder, 0 where not", mode="mostrecent"
)
BACKED_UP = _gauge(
    "quantlake_backup_timestamp_seconds",
    "When the newest whole backup was begun, seconds since 1970; 0 for never",
    mode="mostrecent",
)
DRILLED = _gauge(
    "quantlake_backup_drill_timestamp_seconds",
    "When a backup was last restored and found whole, seconds since 1970; 0 for never",
    mode="mostrecent",
)
LOG_OLDEST_SECONDS = _gauge(
    "quantlake_log_oldest_waiting_seconds",
    "Age of the oldest forecast that is not in the lake yet; 0 where none waits",
    mode="mostrecent",
)
LOG_BYTES = _gauge(
    "quantlake_log_bytes", "Size of the forecast log's files, write-ahead logs included", mode="mostrecent"
)
LOG_QUARANTINED = _gauge(
    "quantlake_log_quarantined_rows",
    "Forecasts that did not verify and wait for a decision: `quantlake forecasts quarantine list`",
    mode="mostrecent",
)
LOG_DAMAGED = _gauge(
    "quantlake_log_damaged_files",
    "Damaged files of the forecast log that were moved aside and not salvaged yet",
    mode="mostrecent",
)
MATURED = _gauge(
    "quantlake_matured_forecasts",
    "Forecasts of the last 60 sessions whose outcome is known, by model and horizon",
    "model",
    "horizon_sessions",
    mode="mostrecent",
)
FORECAST_ERROR = _gauge(
    "quantlake_forecast_absolute_error_ratio",
    "Mean absolute error of their medians, as a share of the price, over the last 60 sessions",
    "model",
    "horizon_sessions",
    mode="mostrecent",
)
PINBALL = _gauge(
    "quantlake_forecast_pinball_loss_ratio",
    "Mean pinball loss of their quantiles, as a share of the price, over the last 60 sessions",
    "model",
    "horizon_sessions",
    mode="mostrecent",
)
COVERAGE = _gauge(
    "quantlake_band_coverage_ratio",
    "Share of outcomes within p10..p90 of what was answered, over the last 60 sessions; 0.8 is promised",
    "regime",
    "horizon_sessions",
    mode="mostrecent",
)
NARRATIVE_SENTENCES = _counter(
    "quantlake_narrative_sentences",
    "Sentences of written explanations, by writer and by what the checker said: passed, or the rule they failed",
    "writer",
    "verdict",
)
NARRATIVE_SECONDS = _histogram(
    "quantlake_narrative_seconds", "Time of one writer for one explanation, its check included", "writer", buckets=JOBS
)
EXPLANATION_JOBS = _counter(
    "quantlake_explanation_jobs",
    "Jobs of written explanations, by what came of them: accepted, reused, refused, completed, failed, cancelled",
    "state",
)
RETRIEVAL_SECONDS = _histogram("quantlake_retrieval_seconds", "Time of one search for passages", buckets=WHOLE)
RETRIEVAL_FUTURE_HITS = _counter(
    "quantlake_retrieval_future_hits",
    "Passages found that were not known yet at the time asked about; each is taken out, and none should be found",
)


MOST_WAITING = 20_000
"""Longest queue of observations; a process without a flushing thread then flushes itself."""
_waiting: "deque[tuple[ManyAtOnce, float]]" = deque()
_flushing = threading.Lock()


@cache
def timer(metric: ManyAtOnce, *labels: str) -> ManyAtOnce:
    """Return the part of a histogram for some labels; looked up once, since that costs more than all else here."""
    return metric.labels(*labels)


def observe(part: ManyAtOnce, amount: float) -> None:
    """Queue an observation."""
    _waiting.append((part, amount))
    if len(_waiting) >= MOST_WAITING:
        flush()


def flush() -> None:
    """Write what waits."""
    amounts: defaultdict[ManyAtOnce, list[float]] = defaultdict(list)
    with _flushing:
        for _ in range(len(_waiting)):
            part, amount = _waiting.popleft()
            amounts[part].append(amount)
        for part, together in amounts.items():
            part.observe_all(together)


@cache
def _forecast_counter(model: str, strategy: str, kind: str) -> Any:
    return FORECASTS.labels(model, strategy, kind)


def observe_batch(watch: "Stopwatch", rows: int) -> None:
    """Note what a micro-batch took, after its answers have gone out."""
    observe(BATCH_ROWS, rows)
    for stage, (start, end) in watch.stages.items():
        observe(timer(STAGE_SECONDS, stage), end - start)
    for model, (start, end) in watch.engines.items():
        observe(timer(ENGINE_SECONDS, model), end - start)


def count_logged(rows: Iterable[Mapping[str, Any]]) -> None:
    """Count forecasts that are on disk, by the rows of `forecasts` that hold them."""
    for labels, number in Tally((row["model_name"], row["strategy"], row["kind"]) for row in rows).items():
        _forecast_counter(*labels).inc(number)


def count_degraded(degradation: "Degradation", rows: int) -> None:
    """Count forecasts that the copy in memory stood in for, by kind of degradation of the online store."""
    DEGRADED.labels(degradation.kind.value).inc(rows)


class OnlineNotice:
    """Counts what readers of the online store notice, see `feature_repo.online.repair.StoreObserver`."""

    def unverified(self, view: str, count: int) -> None:
        """Count values that did not verify."""
        ONLINE_UNVERIFIED.labels(view).inc(count)

    def repaired(self) -> None:
        """Count a repair."""
        ONLINE_REPAIRS.inc()


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
