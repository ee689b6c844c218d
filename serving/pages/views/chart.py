"""Points of the price chart: closes, the band ahead, and the bands of past forecasts where they ended.

Prices of a line are comparable over splits and dividends, so bands start from the adjusted close of the session that
the forecast knew, as the returns do. Times are seconds since 1970 of closes, by which the chart orders them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from serving.api import HistoryBar, HistoryForecast, HistoryOutcome


@dataclass(frozen=True)
class ChartPoint:
    """One close."""

    time: int
    value: float


@dataclass(frozen=True)
class ChartBand:
    """A forecast where its horizon ends.

    Parameters
    ----------
    since, until
        Closes that it begins at and ends with.
    low, middle, high
        Prices of its quantiles.
    start
        Price that it begins at.
    inside
        Whether the outcome fell within; None before it is known.
    """

    since: int
    until: int
    start: float
    low: float
    middle: float
    high: float
    inside: bool | None = None


@dataclass(frozen=True)
class PriceChart:
    """Everything that the chart draws.

    Parameters
    ----------
    closes
        Adjusted closes, the oldest first.
    ahead
        Newest forecast, where its horizon ends after the last close.
    ghosts
        Forecasts that were made before, in the order of their ends.
    caption
        What is to be seen, as a sentence.
    """

    closes: tuple[ChartPoint, ...]
    ahead: ChartBand | None
    ghosts: tuple[ChartBand, ...]
    caption: str

    @property
    def data(self) -> dict[str, Any]:
        """The same for the script of the page."""
        return asdict(self)


def price_chart(
    bars: Sequence[HistoryBar],
    forecasts: Sequence[HistoryForecast],
    outcomes: Sequence[HistoryOutcome],
    ends: Mapping[datetime, datetime],
    caption: str,
) -> PriceChart:
    """Return the chart of a symbol.

    Parameters
    ----------
    bars
        The oldest first.
    forecasts
        Of one horizon, in the order in which they were made; the newest of a close counts.
    outcomes
        What came of them, as far as it was known.
    ends
        Close at which the horizon ends, by the close that it begins at.
    """
    closes = {bar.event_time: bar.close for bar in bars}
    inside = {outcome.forecast_id: outcome.is_inside for outcome in outcomes}
    newest = {forecast.event_time: forecast for forecast in forecasts if forecast.event_time in closes}
    bands = [
        _band(forecast, closes[at], ends[at], inside.get(forecast.forecast_id))
        for at, forecast in sorted(newest.items())
        if at in ends
    ]
    last = max(closes, default=None)
    is_ahead = bool(bands) and last is not None and bands[-1].until > _seconds(last)
    return PriceChart(
        closes=tuple(ChartPoint(_seconds(at), close) for at, close in closes.items()),
        ahead=bands[-1] if is_ahead else None,
        ghosts=tuple(bands[:-1] if is_ahead else bands),
        caption=caption,
    )


def _band(forecast: HistoryForecast, start: float, end: datetime, inside: bool | None) -> ChartBand:
    low, middle, high = (start * (1 + value) for value in (forecast.p10, forecast.p50, forecast.p90))
    return ChartBand(_seconds(forecast.event_time), _seconds(end), start, low, middle, high, inside)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
