"""Outcomes of forecasts, and their scores.

- `matured_outcomes`: one outcome for each forecast, and what every strategy earned on paper
- `performance`, `coverage`: scores of strategies by regime, and coverage of the bands that were answered
- `live_quality`, `live_records`, `quality_file`: errors, skill and coverage of recently matured forecasts, in a file
  for the service
"""

from serving.outcomes.live_quality import update_figures
from serving.outcomes.matured_outcomes import (
    first_close_by,
    first_replays,
    known_labels,
    mature,
    update_strategy_returns,
)
from serving.outcomes.performance import update_performance
from serving.outcomes.quality_file import Figures, figures_path, read_figures, show_figures

__all__ = [
    "Figures",
    "figures_path",
    "first_close_by",
    "first_replays",
    "known_labels",
    "mature",
    "read_figures",
    "show_figures",
    "update_figures",
    "update_performance",
    "update_strategy_returns",
]
