"""Volatility, Sharpe ratio and drawdown of a series of net returns from bar to bar."""

from typing import TYPE_CHECKING

import numpy as np

from lake.calendars import VENUE, bars_per_year

if TYPE_CHECKING:
    from serving.evidence import FloatArray


def volatility_of(net: "FloatArray", grid: str = VENUE) -> float | None:
    """Deviation of net returns, per year of the bars of a grid; None for fewer than two bars."""
    if len(net) < 2:  # noqa: PLR2004 - a deviation needs two
        return None
    return float(net.std(ddof=1) * np.sqrt(bars_per_year(grid)))


def sharpe_of(net: "FloatArray", grid: str = VENUE) -> float | None:
    """Mean over deviation of net returns, per year of the bars of a grid; None for fewer than two, or no movement."""
    if len(net) < 2 or np.ptp(net) == 0:  # noqa: PLR2004 - a deviation needs two
        return None
    return float(net.mean() / net.std(ddof=1) * np.sqrt(bars_per_year(grid)))


def drawdown_of(net: "FloatArray") -> float:
    """Deepest fall of the compounded equity from its highest value so far, as a positive fraction; 0 without a fall."""
    equity = np.concatenate([[1.0], np.cumprod(1 + net)])
    return float((1 - equity / np.maximum.accumulate(equity)).max())
