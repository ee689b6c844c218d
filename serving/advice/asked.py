"""What advice is computed from: the forecast, the book that was named, the record of past calls, the risk gate."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from serving.advice.gate import UNKNOWN_GATE, GateReading
from serving.advice.limits import AdviceCosts, AdviceLimits
from serving.advice.reliability import CallRecord
from serving.forecasts import direction_of

if TYPE_CHECKING:
    from serving.api import Direction


@dataclass(frozen=True)
class AdvisedForecast:
    """A forecast as it was answered.

    Parameters
    ----------
    forecast_id, symbol
        Which one, and of what.
    as_of
        Close of the last bar that it knew.
    horizon_bars
        Bars ahead.
    p10, p50, p90
        Quantiles of the return over the horizon, as fractions.
    confidence
        Probability that the return has the sign of the median, as far as earlier ones came true; 0.5 to 1.
    reference_price
        Price as traded that the return starts from; None where it is not known.
    is_calibrated
        Whether band and confidence were corrected by what came of earlier forecasts.
    age_bars
        Bars that have closed since.
    is_degraded
        Whether a fallback of the online store answered.
    atr
        Average true range of 14 bars as a fraction of the price; None where it is not known.
    bars_per_year
        Bars of a year of the market.
    """

    forecast_id: str
    symbol: str
    as_of: datetime
    horizon_bars: int
    p10: float
    p50: float
    p90: float
    confidence: float
    reference_price: float | None
    is_calibrated: bool
    age_bars: int = 0
    is_degraded: bool = False
    atr: float | None = None
    bars_per_year: int = 252

    @property
    def direction(self) -> "Direction":
        """Sign of the median: ``up``, ``down`` or ``flat``."""
        return direction_of(self.p50)


@dataclass(frozen=True)
class BookContext:
    """The book that advice is for.

    Parameters
    ----------
    position
        Shares held; below zero where sold short.
    equity
        Value of the account in the currency of the price; None where it was not named, so that no size follows.
    risk_tolerance
        Name of the limits.
    """

    position: float = 0.0
    equity: float | None = None
    risk_tolerance: str = "moderate"


@dataclass(frozen=True)
class AdviceQuestion:
    """Everything that advice follows from.

    Parameters
    ----------
    record
        How often earlier forecasts of this confidence came true.
    gate
        What the risk gate lets through.
    """

    forecast: AdvisedForecast
    book: BookContext
    record: CallRecord
    costs: AdviceCosts
    limits: AdviceLimits
    gate: GateReading = UNKNOWN_GATE
