"""What a model is trained on: every session with the features that were known at its close, and nothing else."""

from dataclasses import dataclass

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.registry import apply, feature_store
from feature_repo.windows import FORECAST_V1
from lake.clock import Clock, ReplayClock
from lake.errors import NotReadyError
from lake.settings import Settings
from lake.store import Lake


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
