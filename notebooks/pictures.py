"""What the notebooks' pictures share: colours that mean something and are told apart by everybody, and labelled axes.

The colours are those of Okabe and Ito, https://jfly.uni-koeln.de/color/: people who do not see red and green as others do
tell them apart, and so does a printer without colours by their lightness.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from cycler import cycler

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREEN, ORANGE, RED = "#0072B2", "#009E73", "#E69F00", "#D55E00"
SKY, PINK, GREY, INK = "#56B4E9", "#CC79A7", "#999999", "#1a1a1a"

REGIMES = {
    "low_volatility_uptrend": GREEN,
    "low_volatility_downtrend": SKY,
    "high_volatility_uptrend": ORANGE,
    "high_volatility_downtrend": RED,
}
"""Calm is green and blue, stormy orange and red; rising the former of each pair."""
UP, DOWN = BLUE, RED
BASELINES = {"naive": "#222222", "ewma": "#707070", "har": "#a8a8a8", "garch": "#d8d8d8"}
"""Formulas that models are judged against are grey."""
MODELS = {"ridge": SKY, "lightgbm": GREEN, "lstm": ORANGE, "tft": PINK, "buy_and_hold": BLUE, "equal_weight": RED}
"""Models, the strategies that follow them, and the two strategies that follow none."""


def set_style() -> None:
    """Set the style of every picture of this session."""
    plt.rcParams.update(
        {
            "figure.figsize": (11, 4),
            "figure.dpi": 100,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.alpha": 0.25,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, RED, SKY, PINK, INK, GREY]),
            "legend.frameon": False,
        }
    )


def colours_of(names: Iterable[str]) -> list[str]:
    """Return the colour of each regime, baseline or model; one of one's own is black."""
    known = REGIMES | BASELINES | MODELS
    return [known.get(name, INK) for name in names]


def ahead(bars: int) -> str:
    """Say a horizon: "1 bar ahead", "5 bars ahead"."""
    return f"{bars} bar{'s' if bars > 1 else ''} ahead"


def label(axes: "Axes", title: str, unit: str) -> "Axes":
    """Give a picture over time its title and the unit of its axis, and put the legend beside it."""
    axes.set(title=title, ylabel=unit, xlabel="")
    if axes.get_legend() is not None:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), title=None)
    return axes
