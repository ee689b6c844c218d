"""The tables of the lake that features are served from."""

from feature_repo.catalog import GROUPS
from feature_repo.feast_store.delta_source import DeltaSource
from feature_repo.targets import FORECAST_V2

feature_sources = {group.name: DeltaSource(group.table.name) for group in GROUPS}
"""By name of the feature group."""
regime_source = DeltaSource("regimes")
window_source = DeltaSource(
    "model_windows", equals={"signature": FORECAST_V2.name}, name=f"model_windows_{FORECAST_V2.name}"
)
strategy_source = DeltaSource("strategy_assignments")
blend_source = DeltaSource("blend_weights")
calibration_source = DeltaSource("calibrations")

SOURCES = (*feature_sources.values(), regime_source, window_source, strategy_source, blend_source, calibration_source)
