"""Global importance of features: how much worse a model forecasts when a feature says nothing about its symbol.

- `newest_importance`, `ImportanceFigures`: what was measured last, as it was known at an instant
- `measuring`: measures the models in service and writes the table `feature_importance` (needs `training.judge`)
"""

from serving.importance.reading import ALL_REGIMES, ImportanceFigures, newest_importance

__all__ = ["ALL_REGIMES", "ImportanceFigures", "measuring", "newest_importance"]
