"""Volatility, Sharpe ratio and drawdown of a series of net session returns."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from serving.evidence import FloatArray

SESSIONS_PER_YEAR = 252


def volatility_of(net: "FloatArray") -> float | None:
    """Deviation of net session returns, per year; None for fewer than two sessions."""
    if len(net) < 2:  # noqa: PLR2004 - a deviation needs two
        return None
    return float(net.std(ddof=1) * np.sqrt(SESSIONS_PER_YEAR))


def sharpe_of(net: "FloatArray") -> float | None:
    """Mean over deviation of net session returns, per year; None for fewer than two sessions or no movement."""
    if len(net) < 2 or np.ptp(net) == 0:  # noqa: PLR2004 - a deviation needs two
        return None
    return float(net.mean() / net.std(ddof=1) * np.sqrt(SESSIONS_PER_YEAR))


def drawdown_of(net: "FloatArray") -> float:
    """Deepest fall of the compounded equity from its highest value so far, as a positive fraction; 0 without a fall."""
    equity = np.concatenate([[1.0], np.cumprod(1 + net)])
    return float((1 - equity / np.maximum.accumulate(equity)).max())
