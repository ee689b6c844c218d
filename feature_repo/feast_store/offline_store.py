"""Feast's offline store over the Delta tables of the lake, computed with Polars."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, FeatureView
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from feature_repo.feast_store.delta_source import DeltaSource
from feature_repo.feast_store.entity_frames import read_entity_frame, require_text
from feature_repo.feast_store.locations import store_settings
from feature_repo.feast_store.point_in_time import point_in_time_join
from lake.errors import ConfigError
from lake.report import Report
from lake.store import Lake, newest_event

FEW = 0.1
"""Part of a table's span that is rather read than left out."""


class DeltaOfflineStoreConfig(FeastConfigBaseModel):
    """Where the tables are and which versions of them to read."""

    type: Literal["feature_repo.feast_store.offline_store.DeltaOfflineStore"] = (
        "feature_repo.feast_store.offline_store.DeltaOfflineStore"
    )
    tables: str | None = None
    """Folder of the tables; that of the settings when unset."""
    versions: dict[str, int] = {}  # noqa: RUF012 - a pydantic model copies its defaults
    """Delta version to read, by table; the newest for a table not named."""


class PolarsRetrievalJob(RetrievalJob):
    """A query that runs when its result is asked for.

    Parameters
    ----------
    compute
        Returns the result.
    metadata
        Features and keys of the result.
    full_feature_names
        Whether feature names carry the name of their view.
    on_demand
        Views whose features Feast computes from the result. Ours are all computed before they are stored.
    """

    def __init__(
        self,
        compute: Callable[[], pl.DataFrame],
        metadata: RetrievalMetadata | None = None,
        *,
        full_feature_names: bool = False,
        on_demand: Sequence[OnDemandFeatureView] = (),
    ) -> None:
        self._compute = compute
        self._metadata = metadata
        self._full_feature_names = full_feature_names
        self._on_demand = list(on_demand)

    @property
    def full_feature_names(self) -> bool:
        """Whether feature names carry the name of their view."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views whose features Feast computes from the result."""
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """Features and keys of the result."""
        return self._metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002 - Feast's signature
        return self._compute().rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame


class DeltaOfflineStore(OfflineStore):
    """Point-in-time retrieval that never uses what was not yet known.

    A row counts at an instant only if both its `event_time` and its `known_time` are not later; this holds for
    training frames and for what is materialised, always, whether the caller asks for it or not.
    """

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **_: Any,
    ) -> RetrievalJob:
        """Give every row of `entity_df` the feature values known at its timestamp.

        Raises
        ------
        ConfigError
            If `entity_df` is not a pandas frame, for this store has no query language of its own; if its instants or
            keys cannot be read (`feature_repo.feast_store.entity_frames`); if it lacks a key of a view; or if it
            already has a column of a feature's name.
        """
        spine, at = read_entity_frame(entity_df)

        def compute() -> pl.DataFrame:
            joined = spine
            for view in feature_views:
                joined = _join_view(config, joined, at, view, feature_refs, full_feature_names=full_feature_names)
            return joined

        bounds = _bounds(spine[at])
        keys = [name for name in spine.columns if name != at]
        return PolarsRetrievalJob(
            compute,
            RetrievalMetadata(feature_refs, keys, *bounds),
            full_feature_names=full_feature_names,
            on_demand=OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Return the newest row of each entity as known at `end_date`, where it is news since `start_date`.

        News is what happened or became known since then, so a restated old session is materialised too. A start after
        the end, which the wall clock gives Feast when a market of the past is replayed, means from the beginning.
        """
        columns = [*join_key_columns, *feature_name_columns, timestamp_field, created_timestamp_column or "known_time"]

        def compute() -> pl.DataFrame:
            newest = newest_event(_known(config, data_source, columns, end_date), join_key_columns)
            if start_date > end_date:
                return newest
            return newest.filter(pl.max_horizontal("event_time", "known_time") >= start_date)

        return PolarsRetrievalJob(compute)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Return the rows of a time range as known at its end, restatements beside what they replace."""
        columns = [*join_key_columns, *feature_name_columns, timestamp_field, created_timestamp_column or "known_time"]

        def compute() -> pl.DataFrame:
            return _known(config, data_source, columns, end_date, since=start_date)

        return PolarsRetrievalJob(compute)


def _join_view(
    config: RepoConfig,
    spine: pl.DataFrame,
    at: str,
    view: FeatureView,
    feature_refs: Sequence[str],
    *,
    full_feature_names: bool,
) -> pl.DataFrame:
    """Add the features of one view to the spine."""
    prefix = f"{view.projection.name_to_use()}:"
    names = [ref.removeprefix(prefix) for ref in feature_refs if ref.startswith(prefix)]
    keys = [column.name for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
    on = {key: view.projection.join_key_map.get(key, key) for key in keys}
    outward = {name: f"{prefix[:-1]}__{name}" if full_feature_names else name for name in names}
    _require_fitting(spine, view.name, on.values(), outward.values())
    first, last = _bounds(spine[at])
    oldest = first - view.ttl if first is not None and view.ttl else None
    columns = [*keys, *names, "event_time", "known_time"]
    rows = _known(config, view.batch_source, columns, last, since=oldest, is_needed=False)  # the join asks each row
    return point_in_time_join(spine, rows, on=on, at=at, features=outward, ttl=view.ttl or None)


def _require_fitting(spine: pl.DataFrame, view: str, keys: Collection[str], features: Iterable[str]) -> None:
    if missing := [key for key in keys if key not in spine.columns]:
        raise ConfigError(
            f"The entity frame has no column '{missing[0]}', by which the rows of view '{view}' are found; it has "
            f"{', '.join(spine.columns)}. Add the column, or leave the view's features out."
        )
    for key in keys:
        require_text(spine, view, key)
    if taken := [name for name in features if name in spine.columns]:
        raise ConfigError(
            f"The entity frame already has a column '{taken[0]}', which is also a feature of view '{view}'. Rename the "
            "column, or ask with full_feature_names=True."
        )


def _bounds(times: pl.Series) -> tuple[datetime | None, datetime | None]:
    first: Any = times.min()
    last: Any = times.max()
    return first, last


def _known(
    config: RepoConfig,
    source: DataSource,
    columns: Sequence[str],
    at: datetime | None,
    *,
    since: datetime | None = None,
    is_needed: bool = True,
) -> pl.DataFrame:
    """Rows of a source that had happened and were known at an instant; none while the table does not exist.

    Rows whose event is older than `since` are not read. With `is_needed` false further rows may be returned: all of
    them, where nearly all lie within these bounds, because leaving out a few copies the others.
    """
    if not isinstance(source, DeltaSource):
        raise ConfigError(
            f"The offline store reads tables of the lake, and source '{source.name}' is a {type(source).__name__}. "
            "Declare it as a DeltaSource in feature_repo/feast_store/batch_sources.py."
        )
    options = config.offline_store
    lake = Lake(Path(options.tables) if options.tables else store_settings().tables)
    if lake.exists(source.spec):
        stored = lake.scan(source.spec, version=options.versions.get(source.spec.name))
    else:
        stored = source.spec.empty().lazy()
    rows = source.narrow(stored)
    if not is_needed and lake.exists(source.spec) and _lies_within(lake.report(source.spec), since, at):
        at = since = None
    if at is not None:
        rows = rows.filter(pl.col("event_time") <= at, pl.col("known_time") <= at)
    if since is not None:
        rows = rows.filter(pl.col("event_time") >= since)
    return rows.select(columns).collect()


def _lies_within(stored: Report, since: datetime | None, at: datetime | None) -> bool:
    """Whether nearly the whole span of a table lies within some bounds."""
    if stored.first is None or stored.last is None:
        return True
    before = max(timedelta(0), since - stored.first) if since else timedelta(0)
    after = max(timedelta(0), stored.last - at) if at else timedelta(0)
    return before + after <= FEW * (stored.last - stored.first)
