"""Metrics of forecasts as they are made and looked up."""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from serving.monitoring.metrics.declaring import FAST, ROWS, counter, histogram
from serving.monitoring.metrics.observing import observe, timer

if TYPE_CHECKING:
    from feature_repo.online import Degradation
    from serving.monitoring.stopwatch import Stopwatch

STAGE_SECONDS = histogram(
    "quantlake_stage_seconds",
    "Time of a micro-batch in each stage: wait (of the question that waited longest), read (online store), compute "
    "(engines and calibration), compose, log (until it is on disk)",
    "stage",
    buckets=FAST,
)
ENGINE_SECONDS = histogram(
    "quantlake_engine_seconds", "Time of one engine call, by model in service", "model", buckets=FAST
)
BATCH_ROWS = histogram("quantlake_batch_rows", "Forecasts computed together", buckets=ROWS)
FORECASTS = counter(
    "quantlake_forecasts",
    "Forecasts on disk, by what computed them, selected strategy and kind",
    "model",
    "strategy",
    "kind",
)
DEGRADED = counter(
    "quantlake_degraded_forecasts",
    "Forecasts read from the copy in memory, by what Redis does: refused, timeout, failed, left_alone, empty, "
    "unverified, unusable",
    "reason",
)
LATEST = counter("quantlake_latest", "Newest forecasts looked up, by what answered: cache, log or table", "source")
LATEST_WRITTEN = counter("quantlake_latest_written", "Newest forecasts handed to the cache")
LATEST_FAILURES = counter(
    "quantlake_latest_write_failures", "Times the cache of newest forecasts could not be written; it is tried again"
)


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
