"""A measure of the importance of features, for tests that are not about how it is measured."""

from datetime import datetime, timedelta

import polars as pl

from lake.tables import FEATURE_IMPORTANCE

RISES = {"volatility_garch": 0.004, "return_5d": 0.001, "rsi_14": -0.0001, "return_20d + rsi_14": 0.002}


def importance_rows(at: datetime, *, model: str = "blend", horizon: int = 1, factor: float = 1.0) -> pl.DataFrame:
    """Return rows of `feature_importance` of one measure at an instant."""
    values = [
        {
            "model": model,
            "horizon_sessions": horizon,
            "regime": "all",
            "feature": name,
            "features": name.split(" + "),
            "event_time": at,
            "known_time": at,
            "first_session": at - timedelta(days=300),
            "sessions": 200,
            "forecasts": 5_000,
            "repeats": 20,
            "loss": 0.01,
            "loss_rise": factor * rise,
            "low": factor * rise - 0.01,
            "high": factor * rise + 0.01,
            "mean_absolute_shapley": None if "+" in name else 0.002,
            "model_digest": "ab" * 32,
            "table_versions": '{"bars": 3}',
        }
        for name, rise in RISES.items()
    ]
    return pl.DataFrame(values, schema=FEATURE_IMPORTANCE.schema)
