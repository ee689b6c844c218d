"""The tables of the lake that features are served from."""

from feature_repo.delta_source import DeltaSource
from feature_repo.windows import FORECAST_V1

technical_source = DeltaSource("features_technical")
regime_source = DeltaSource("regimes")
window_source = DeltaSource(
    "model_windows", equals={"signature": FORECAST_V1.name}, name=f"model_windows_{FORECAST_V1.name}"
)
strategy_source = DeltaSource("strategy_assignments")
