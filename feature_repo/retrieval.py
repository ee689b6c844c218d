"""The only place that makes a `FeatureStore`: registry, materialisation, training frames."""

import json
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import polars as pl
from filelock import FileLock

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.locations import repo_config
from feature_repo.online import OnlineBatch, OnlineReader
from feature_repo.redis_server import connect, redis_url, running_redis
from feature_repo.windows import FORECAST_V1
from lake.clock import Clock, ReplayClock
from lake.errors import NotReadyError
from lake.report import Report
from lake.settings import Settings
from lake.store import Lake
from lake.tables import MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS

__all__ = ["OnlineBatch", "OnlineReader", "TrainingFrame", "apply", "feature_store", "materialize", "training_frame"]

BEGINNING = datetime(1990, 1, 1, tzinfo=UTC)
SERVED = (FEATURES_TECHNICAL, REGIMES, MODEL_WINDOWS, STRATEGY_ASSIGNMENTS)
STAMP = "quantlake:materialized"
"""Redis key that says from what, and up to when, the server was filled: it is lost with what it vouches for."""
WRITE_SECONDS = 10.0


@dataclass(frozen=True)
class TrainingFrame:
    """Features as they were known at each session, and what they were read from.

    Parameters
    ----------
    frame
        ``symbol, event_time`` and a column per feature, sorted; null is not known.
    versions
        Delta versions that were read, by table. Reading them again gives the same frame.
    """

    frame: pl.DataFrame
    versions: dict[str, int]


def feature_store(settings: Settings, **options: Any) -> Any:
    """Return Feast's store for one home; the options are those of `feature_repo.locations.repo_config`."""
    from feast import FeatureStore

    return FeatureStore(config=repo_config(settings, **({"url": redis_url(settings)} | options)))


def apply(settings: Settings) -> Report:
    """Bring the registry to what `feature_repo.definitions` declares, like `feast apply`."""
    from feature_repo import definitions

    started = time.perf_counter()
    objects = [getattr(definitions, name) for name in definitions.__all__]
    settings.feast.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.feast / "registry.lock", timeout=120), redirect_stdout(StringIO()):
        feature_store(settings).apply(objects)
    return Report("feast_registry", rows=len(objects), seconds=time.perf_counter() - started)


def materialize(lake: Lake, settings: Settings, until: datetime) -> Report:
    """Put the newest values known at an instant into the online store, starting the embedded Redis if none runs.

    Parameters
    ----------
    until
        Market time; rows that happened or became known later are left out.

    Returns
    -------
    Report
        `rows` counts the symbols that can be served; skipped when the server already holds these table versions.
    """
    started = time.perf_counter()
    versions = lake.versions([spec for spec in SERVED if lake.exists(spec)])
    stamp = json.dumps({"until": until.astimezone(UTC).isoformat(), "versions": versions}, sort_keys=True)
    with running_redis(settings) as url, connect(url, WRITE_SECONDS) as server:
        is_done = server.get(STAMP) == stamp.encode()
        if not is_done:
            apply(settings)
            with FileLock(settings.feast / "registry.lock", timeout=120), redirect_stdout(StringIO()):
                feature_store(settings, url=url, tables=lake.root).materialize(BEGINNING, until)
            server.set(STAMP, stamp)
        rows = len(OnlineReader(settings).symbols())
    report = Report("online_store", rows=rows, added=0 if is_done else rows, last=until, skipped=is_done)
    report = report.having(seconds=time.perf_counter() - started, table_versions=versions)
    return report.having(reason="the server already holds these table versions") if is_done else report


def training_frame(
    lake: Lake, settings: Settings, service: str = FORECAST_V1.name, clock: Clock | None = None
) -> TrainingFrame:
    """Retrieve what a model of one signature is trained on, through Feast's historical retrieval.

    Each (symbol, session) stored by the market's now gets the feature values that were known at that session's close:
    a value restated later appears as it was.

    Parameters
    ----------
    service
        Model signature; its training features are the Feast service of that name with ``_training``.
    clock
        Says the market's now; by default the replay clock of the settings.

    Raises
    ------
    NotReadyError
        If there are no features yet.
    """
    if not lake.exists(FEATURES_TECHNICAL):
        raise NotReadyError(
            f"There is nothing to train on: table '{FEATURES_TECHNICAL.name}' is not made yet under {lake.root}. "
            "Run `make demo`, or feature_repo.update.update_technical."
        )
    now = (clock or ReplayClock(settings.home / "clock.json")).now()
    versions = lake.versions([FEATURES_TECHNICAL])
    apply(settings)
    store = feature_store(settings, tables=lake.root, versions=versions)
    spine = (
        lake.scan(FEATURES_TECHNICAL, version=versions[FEATURES_TECHNICAL.name])
        .filter(pl.col("event_time") <= now, pl.col("known_time") <= now)
        .select("symbol", pl.col("event_time").alias("event_timestamp"))
        .unique()
        .sort("symbol", "event_timestamp")
        .collect()
    )
    job = store.get_historical_features(
        entity_df=spine.to_pandas(), features=store.get_feature_service(f"{service}_training")
    )
    frame = pl.DataFrame(pl.from_arrow(job.to_arrow())).rename({"event_timestamp": "event_time"})
    return TrainingFrame(frame.with_columns(pl.col("event_time").dt.convert_time_zone("UTC")), versions)
