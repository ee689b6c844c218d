"""Plots of a model's forecasts: against outcomes, and calibration of its quantiles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from feature_repo.targets import QUANTILES
from lake.horizons import horizon_of, interval_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.judge.fold_forecasts import FoldForecast

GROUPS = 10
"""Groups of equal size that forecasts are sorted into."""
FOOT = 0.2
"""Inches that a note at the foot of a figure takes."""
BAND, LINE, TRUTH = "#c9d8ef", "#2a5caa", "#1a1a1a"


def plot_forecast_against_truth(
    forecasts: "list[FoldForecast]", grid: str, path: Path, *, caveats: Sequence[str] = ()
) -> Path:
    """Draw the forecasts of one model beside the outcomes, one column per horizon, and return the path of the PNG.

    Above, one symbol through the last test interval: the band p10..p90, the median, and the outcomes. Below, all
    forecasts in ten groups from the lowest median to the highest: mean forecast and mean outcome of each group, with
    two standard errors of the outcome, as if outcomes were independent, which those of one session are not. What the
    source of the returns says about them, `caveats`, stands at the foot. Horizons are named by the `grid` of the bars.
    """
    figure = _figure(6.5 + FOOT * len(caveats), foot=FOOT * len(caveats))
    for line, caveat in enumerate(reversed(caveats)):
        figure.text(0.07, (0.1 + FOOT * line) / figure.get_figheight(), caveat, fontsize=7, color="#555555")
    horizons = forecasts[0].truth.horizons
    axes = figure.subplots(2, len(horizons), squeeze=False)
    for column, horizon in enumerate(horizons):
        _draw_band(axes[0][column], forecasts[-1], column)
        axes[0][column].set_title(_title(forecasts[0].model, horizon, grid), fontsize=10)
        _draw_groups(axes[1][column], forecasts, column)
    return _save(figure, path)


def plot_calibration(forecasts: "list[FoldForecast]", grid: str, path: Path) -> Path:
    """Draw the share of outcomes below each forecast quantile, one line per fold, and return the path of the PNG.

    A calibrated model lies on the diagonal. Horizons are named by the `grid` of the bars.
    """
    figure = _figure(3.6)
    horizons = forecasts[0].truth.horizons
    axes = figure.subplots(1, len(horizons), squeeze=False)[0]
    for column, horizon in enumerate(horizons):
        axes[column].plot([0, 1], [0, 1], color="#999999", linewidth=0.8, label="calibrated")
        for forecast in forecasts:
            known = np.isfinite(forecast.truth.y[:, column])
            below = (forecast.truth.y[known, column, None] <= forecast.quantiles[known, column]).mean(axis=0)
            axes[column].plot(QUANTILES, below, marker="o", markersize=4, linewidth=1, label=forecast.fold)
        axes[column].set(xlabel="forecast quantile", ylabel="share of outcomes below", xlim=(0, 1), ylim=(0, 1))
        axes[column].set_title(_title(forecasts[0].model, horizon, grid), fontsize=10)
    axes[0].legend(fontsize=8)
    return _save(figure, path)


def _title(model: str, bars: int, grid: str) -> str:
    return f"{model}: return over {horizon_of(bars, interval_of(grid))}"


def _draw_band(axes: "Axes", forecast: "FoldForecast", column: int) -> None:
    symbol = forecast.truth.keys["symbol"].min()
    rows = forecast.truth.keys.select((pl.col("symbol") == symbol).arg_true()).to_series().to_numpy()
    at = forecast.truth.keys[rows]["event_time"].to_numpy()
    low, median, high = (100 * forecast.quantiles[rows, column]).T
    axes.fill_between(at, low, high, color=BAND, label="p10 to p90")
    axes.plot(at, median, color=LINE, linewidth=1, label="p50")
    axes.scatter(at, 100 * forecast.truth.y[rows, column], color=TRUTH, s=3, label="outcome")
    axes.set_ylabel(f"{symbol!s} in {forecast.fold}, %")
    axes.tick_params(axis="x", labelrotation=30, labelsize=7)
    axes.legend(fontsize=7, ncols=3)


def _draw_groups(axes: "Axes", forecasts: "list[FoldForecast]", column: int) -> None:
    median = np.concatenate([forecast.quantiles[:, column, 1] for forecast in forecasts]) * 100
    truth = np.concatenate([forecast.truth.y[:, column] for forecast in forecasts]) * 100
    median, truth = median[np.isfinite(truth)], truth[np.isfinite(truth)]
    groups = np.array_split(np.argsort(median, kind="stable"), GROUPS)
    number = np.arange(1, GROUPS + 1)
    error = [2 * truth[rows].std() / np.sqrt(len(rows)) for rows in groups]
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.errorbar(
        number,
        [truth[rows].mean() for rows in groups],
        yerr=error,
        fmt="o",
        color=TRUTH,
        markersize=4,
        label="outcome, ± 2 standard errors",
    )
    axes.plot(number, [median[rows].mean() for rows in groups], color=LINE, label="forecast")
    axes.set(xlabel="group of forecasts, lowest to highest", ylabel="mean return, %")
    axes.legend(fontsize=7)


def _figure(height: float, foot: float = 0.0) -> "Figure":
    """Return a figure of a height in inches, with room for notes at its foot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height))
    FigureCanvasAgg(figure)
    edge = 0.45 / height  # the same margin in inches, whatever the height
    bottom, top = 1.1 * edge + foot / height, 1 - 0.6 * edge
    figure.subplots_adjust(left=0.07, right=0.98, bottom=bottom, top=top, hspace=0.34, wspace=0.17)
    return figure


def _save(figure: "Figure", path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    return path
