"""Plot of coverage over time, before and after calibration."""

from typing import TYPE_CHECKING

import numpy as np

from lake.market import DEMO
from serving.forecasts import COVERAGE_TARGET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from matplotlib.axes import Axes

    from lake.market import Market
    from serving.calibration.simulation import WalkForwardSimulation

WINDOW_SESSIONS = 60
BEFORE, AFTER, LOWER, UPPER = "#999999", "#1f77b4", "#b35a00", "#1f77b4"
"""Told apart by readers who see no difference between red and green."""


def draw(simulations: "Sequence[WalkForwardSimulation]", path: "Path", market: "Market" = DEMO) -> "Path":
    """Draw coverage over the last sessions, and the factors in force, as a PNG; return its path.

    Per horizon: above, the share of outcomes within p10..p90 over the last 60 sessions, before and after calibration;
    below, the factors of the lower and the upper part of the band at each close, for the regime of that close.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(simulations), squeeze=False, sharex=True, sharey="row")
    for column, simulation in enumerate(simulations):
        _draw_coverage(axes[0][column], simulation)
        axes[0][column].set_title(f"{market.horizon_of(simulation.panel.horizon)} ahead", fontsize=10)
        _draw_factors(axes[1][column], simulation)
    for row in axes:
        _legends(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    return path


def _draw_coverage(axes: "Axes", simulation: "WalkForwardSimulation") -> None:
    axes.axhspan(100 * COVERAGE_TARGET - 2, 100 * COVERAGE_TARGET + 2, color="#e8e8e8", label="78 to 82 %")
    for name, quantiles, colour in (
        ("as the models say", simulation.panel.quantiles, BEFORE),
        ("calibrated", simulation.calibrated(), AFTER),
    ):
        at, share = _rolling(simulation, quantiles)
        axes.plot(at, 100 * share, color=colour, linewidth=1.2, label=name)
    axes.set_ylabel(f"outcomes within p10..p90,\n{WINDOW_SESSIONS} sessions, %")


def _draw_factors(axes: "Axes", simulation: "WalkForwardSimulation") -> None:
    in_force = simulation.tracked.factors[
        np.arange(len(simulation.panel.closes)), simulation.panel.regime
    ]  # [session, side]
    axes.axhline(1.0, color=BEFORE, linewidth=0.8)
    for side, (name, colour) in enumerate((("p50 - p10", LOWER), ("p90 - p50", UPPER))):
        axes.plot(_instants(simulation.panel.closes), in_force[:, side], color=colour, linewidth=0.8, label=name)
    axes.set_ylabel("factor of the band's half")


def _legends(row: "Sequence[Axes]") -> None:
    """Legends above the curves of a row, which has one scale, so that they hide none of them."""
    low, high = row[0].get_ylim()
    row[0].set_ylim(low, high + 0.18 * (high - low))
    for axes in row:
        axes.legend(loc="upper left", fontsize=8, ncols=3)


def _rolling(simulation: "WalkForwardSimulation", quantiles: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Mean over the last sessions of the share of each session's outcomes within the band."""
    panel = simulation.panel
    known = ~np.isnan(panel.realised)
    inside = ((quantiles[:, 0] <= panel.realised) & (panel.realised <= quantiles[:, 2]))[known].astype(float)
    count = np.bincount(panel.session[known], minlength=len(panel.closes))
    share = (np.bincount(panel.session[known], inside, minlength=len(count)) / np.maximum(count, 1))[count > 0]
    at, window = _instants(panel.closes)[count > 0], min(WINDOW_SESSIONS, max(len(share), 1))
    if not len(share):  # no forecast over a long horizon has matured yet
        return at, share
    return at[window - 1 :], np.convolve(share, np.full(window, 1 / window), mode="valid")


def _instants(closes: "Sequence[datetime]") -> "np.ndarray":
    return np.array([at.replace(tzinfo=None) for at in closes], dtype="datetime64[us]")
