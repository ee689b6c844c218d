"""Feature views: which columns of which table are features of what, and how long a value stays good."""

from datetime import timedelta

from feast import Entity, FeatureView, Field
from feast.types import Int64, from_value_type

from feature_repo.catalog import GROUPS
from feature_repo.feast_store.batch_sources import (
    blend_source,
    calibration_source,
    feature_sources,
    regime_source,
    strategy_source,
    window_source,
)
from feature_repo.feast_store.delta_source import KNOWN_TIME_US, DeltaSource, value_type
from feature_repo.feast_store.entities import market, symbol
from feature_repo.online import A_QUARTER, A_WEEK
from feature_repo.targets import FORECAST_V2


def _view(name: str, source: DeltaSource, entity: Entity, ttl: timedelta, *, is_online: bool = True) -> FeatureView:
    """Declare every column of a table that is neither key nor time as a feature, and when the row was known."""
    left_out = {*source.spec.key, "event_time", "known_time", *source.equals}
    columns = [column for column in source.spec.columns if column.name not in left_out]
    fields = [
        Field(name=column.name, dtype=from_value_type(value_type(column)), description=column.meaning)
        for column in columns
    ]
    known = Field(name=KNOWN_TIME_US, dtype=Int64, description="when the row was known, microseconds since 1970, UTC")
    key = Field(name=entity.join_key, dtype=from_value_type(entity.value_type))
    return FeatureView(
        name=name,
        entities=[entity],
        schema=[key, *fields, known],
        source=source,
        ttl=ttl,
        online=is_online,
        description=source.description,
    )


features = {
    group.name: _view(group.name, feature_sources[group.name], symbol, A_WEEK, is_online=group.is_online)
    for group in GROUPS
}
"""By name of the feature group: every feature of the catalog is a field of one of these."""
regime = _view("regime", regime_source, market, A_WEEK)
window = _view(f"window_{FORECAST_V2.name}", window_source, symbol, A_WEEK)
strategy = _view("strategy", strategy_source, symbol, A_QUARTER)
blend = _view("blend_weights", blend_source, market, A_QUARTER)
calibration = _view("calibration", calibration_source, market, A_QUARTER)

VIEWS = (*features.values(), regime, window, strategy, blend, calibration)
