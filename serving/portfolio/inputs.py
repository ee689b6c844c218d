"""What a method is told: returns, market weights and views, all as they were known at one close."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from serving.portfolio.moments import shrunk_covariance

if TYPE_CHECKING:
    from serving.evidence import FloatArray

TENTH = 1.2815515655446004
"""Distance of the 10 % and 90 % points from the median of a standard normal distribution."""


@dataclass(frozen=True)
class ForecastViews:
    """Forecasts over one horizon as views: the median, with the uncertainty that the calibrated band says.

    Parameters
    ----------
    horizon_bars
        How far ahead, in bars.
    medians, low, high
        ``[symbol]``: p50, p10 and p90 of the return over the horizon; NaN where there is no forecast.
    """

    horizon_bars: int
    medians: "FloatArray"
    low: "FloatArray"
    high: "FloatArray"

    @property
    def is_there(self) -> "np.ndarray":
        """``[symbol]``: whether there is a forecast whose band has a width."""
        return np.isfinite(self.medians) & (self.high - self.low > 0)

    @property
    def variances(self) -> "FloatArray":
        """``[symbol]``: variance of a normal distribution whose 10 % and 90 % points are as far apart as the band."""
        found: FloatArray = ((self.high - self.low) / (2.0 * TENTH)) ** 2
        return found


@dataclass(frozen=True)
class PortfolioInputs:
    """What was known at one close.

    Parameters
    ----------
    close
        Of the bars that were decided on.
    symbols
        That may have a weight.
    returns
        ``[bar, symbol]``, the newest last; finite where the inputs are sound.
    index_returns
        ``[bar]``: of the market's index; None where it has no bars.
    market_weights
        ``[symbol]``: what stands for the market, summing to one.
    market_weights_by
        What they are made of, in words.
    views
        Forecasts; None where there are none.
    """

    close: datetime
    symbols: tuple[str, ...]
    returns: "FloatArray"
    index_returns: "FloatArray | None"
    market_weights: "FloatArray"
    market_weights_by: str
    views: ForecastViews | None = None

    @property
    def count(self) -> int:
        """Number of symbols."""
        return len(self.symbols)

    @cached_property
    def covariance(self) -> "FloatArray":
        """``[symbol, symbol]``, per bar, shrunk."""
        return shrunk_covariance(self.returns)

    @cached_property
    def volatilities(self) -> "FloatArray":
        """``[symbol]``: sample deviation of returns, per bar."""
        found: FloatArray = self.returns.std(axis=0, ddof=1)
        return found
