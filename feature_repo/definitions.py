"""The one door that `feast apply` scans: everything the registry holds."""

from feature_repo.batch_sources import regime_source, strategy_source, technical_source, window_source
from feature_repo.entities import market, symbol
from feature_repo.services import forecast_v1, forecast_v1_training
from feature_repo.views import regime, strategy, technical, window

__all__ = [
    "forecast_v1",
    "forecast_v1_training",
    "market",
    "regime",
    "regime_source",
    "strategy",
    "strategy_source",
    "symbol",
    "technical",
    "technical_source",
    "window",
    "window_source",
]
