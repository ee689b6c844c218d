"""Judgement: how good forecasts were, walk-forward and live, in NumPy and Polars only.

- `mean_absolute_error`, `pinball_loss`, `coverage`, `hit_rate`: a number
- `quantile_losses`, `direction_hits`: one per forecast
- `information_coefficient`, `InformationCoefficient`, `t_value`, `standard_error`: rank
  correlation over sessions, and how sure a mean is
- `FoldForecast`, `forecast_folds`: what each model forecasts for each test year
- `score_folds`, `OVERALL`, `measures_of`: the model table, and as numbers to track
- `compare_with_best_baseline`, `compare_models`, `ModelComparison`, `adjusted`: each model against the best baseline
- `verdict_table`: the same as a table, baselines included
- `plot_forecast_against_truth`, `plot_calibration`: pictures of one model's forecasts
"""

from training.data import quantile_losses
from training.judge.evaluate import forecast_folds, measures_of, score_folds
from training.judge.fold_forecasts import OVERALL, FoldForecast
from training.judge.metrics import (
    InformationCoefficient,
    coverage,
    direction_hits,
    hit_rate,
    information_coefficient,
    mean_absolute_error,
    pinball_loss,
    standard_error,
    t_value,
)
from training.judge.plots import plot_calibration, plot_forecast_against_truth
from training.judge.verdicts import (
    ModelComparison,
    adjusted,
    compare_models,
    compare_with_best_baseline,
    verdict_table,
)

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "mean_absolute_error",
    "pinball_loss",
    "quantile_losses",
    "coverage",
    "direction_hits",
    "hit_rate",
    "information_coefficient",
    "InformationCoefficient",
    "t_value",
    "standard_error",
    "FoldForecast",
    "forecast_folds",
    "score_folds",
    "OVERALL",
    "measures_of",
    "compare_with_best_baseline",
    "compare_models",
    "ModelComparison",
    "adjusted",
    "verdict_table",
    "plot_forecast_against_truth",
    "plot_calibration",
]
