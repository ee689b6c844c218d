"""Forecasts of past sessions, made with what was known at each close.

- `walk_forward`: every session of history, in order
- `scoring`: the session that has just closed
- `trials`: every session since the trial of a version began
- `identities`: names of their forecasts, the same whenever they are made
"""

from serving.backfill.identities import forecast_id
from serving.backfill.scoring import score_newest
from serving.backfill.trials import forecast_trials
from serving.backfill.walk_forward import (
    VERSIONED,
    WalkForwardTables,
    WindowBatch,
    forecast_rows,
    has_replays,
    replay_forecasts,
)

__all__ = [
    "VERSIONED",
    "WalkForwardTables",
    "WindowBatch",
    "forecast_id",
    "forecast_rows",
    "forecast_trials",
    "has_replays",
    "replay_forecasts",
    "score_newest",
]
