"""Feature views: which columns of which table are features of what, and how long a value stays good."""

from datetime import timedelta

from feast import Entity, FeatureView, Field
from feast.types import Int64, from_value_type

from feature_repo.batch_sources import regime_source, strategy_source, technical_source, window_source
from feature_repo.delta_source import KNOWN_TIME_US, DeltaSource, value_type
from feature_repo.entities import market, symbol
from feature_repo.windows import FORECAST_V1

A_WEEK = timedelta(days=7)
"""How old a value may be: an instrument that has not traded for a week has no current features."""
A_QUARTER = timedelta(days=92)
"""How old a strategy assignment may be: it is reviewed every few sessions and stands until the next review."""


def _view(name: str, source: DeltaSource, entity: Entity, ttl: timedelta) -> FeatureView:
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
        description=source.description,
    )


technical = _view("technical", technical_source, symbol, A_WEEK)
regime = _view("regime", regime_source, market, A_WEEK)
window = _view(f"window_{FORECAST_V1.name}", window_source, symbol, A_WEEK)
strategy = _view("strategy", strategy_source, symbol, A_QUARTER)
