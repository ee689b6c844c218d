"""What came of the forecasts.

- `maturing`: one outcome for each forecast, and what every strategy earned on paper
- `performance`, `coverage`: scores of strategies by regime, and coverage of the bands that were answered
- `recent`, `figures`: errors of late, in a small file that the service shows
"""

from serving.outcomes.figures import Figures, figures_path, read_figures, show_figures
from serving.outcomes.maturing import known_labels, mature, update_strategy_returns
from serving.outcomes.performance import update_performance
from serving.outcomes.recent import update_figures

__all__ = [
    "Figures",
    "figures_path",
    "known_labels",
    "mature",
    "read_figures",
    "show_figures",
    "update_figures",
    "update_performance",
    "update_strategy_returns",
]
