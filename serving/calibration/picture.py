"""Coverage over time, before and after calibration, for those who would rather look."""

from typing import TYPE_CHECKING

import numpy as np

from serving.forecasts import COVERAGE_TARGET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from matplotlib.axes import Axes

    from serving.calibration.learning import Lived

WINDOW_SESSIONS = 60
BEFORE, AFTER, LOWER, UPPER = "#999999", "#1f77b4", "#d62728", "#2ca02c"


def draw(lived: "Sequence[Lived]", path: "Path") -> "Path":
    """Draw coverage over the last sessions, and the factors in force, as a PNG; return its path.

    Per horizon: above, the share of outcomes within p10..p90 over the last 60 sessions, before and after calibration;
    below, the factors of the lower and the upper part of the band at each close, for the regime of that close.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(lived), squeeze=False, sharex=True, sharey="row")
    for column, one in enumerate(lived):
        _draw_coverage(axes[0][column], one)
        _draw_factors(axes[1][column], one)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    return path


def _draw_coverage(axes: "Axes", one: "Lived") -> None:
    axes.axhspan(100 * COVERAGE_TARGET - 2, 100 * COVERAGE_TARGET + 2, color="#e8e8e8", label="78 to 82 %")
    for name, quantiles, colour in (
        ("as the models say", one.panel.quantiles, BEFORE),
        ("calibrated", one.calibrated(), AFTER),
    ):
        at, share = _rolling(one, quantiles)
        axes.plot(at, 100 * share, color=colour, linewidth=1.2, label=name)
    axes.set_title(f"{one.panel.horizon} session(s) ahead", fontsize=10)
    axes.set_ylabel(f"within p10..p90 over {WINDOW_SESSIONS} sessions, %")
    axes.legend(loc="lower left", fontsize=8, ncols=3)


def _draw_factors(axes: "Axes", one: "Lived") -> None:
    in_force = one.tracked.factors[np.arange(len(one.panel.closes)), one.panel.regime]  # [session, side]
    axes.axhline(1.0, color=BEFORE, linewidth=0.8)
    for side, (name, colour) in enumerate((("lower part", LOWER), ("upper part", UPPER))):
        axes.plot(_instants(one.panel.closes), in_force[:, side], color=colour, linewidth=0.8, label=name)
    axes.set_ylabel("factor in force")
    axes.legend(loc="upper left", fontsize=8, ncols=2)


def _rolling(one: "Lived", quantiles: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Mean over the last sessions of the share of each session's outcomes within the band."""
    panel = one.panel
    known = ~np.isnan(panel.realised)
    inside = ((quantiles[:, 0] <= panel.realised) & (panel.realised <= quantiles[:, 2]))[known].astype(float)
    count = np.bincount(panel.session[known], minlength=len(panel.closes))
    share = (np.bincount(panel.session[known], inside, minlength=len(count)) / np.maximum(count, 1))[count > 0]
    at, window = _instants(panel.closes)[count > 0], min(WINDOW_SESSIONS, max(len(share), 1))
    return at[window - 1 :], np.convolve(share, np.full(window, 1 / window), mode="valid")


def _instants(closes: "Sequence[datetime]") -> "np.ndarray":
    return np.array([at.replace(tzinfo=None) for at in closes], dtype="datetime64[us]")
