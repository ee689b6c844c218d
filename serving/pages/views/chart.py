"""Points of the price chart: closes, the band ahead, and the bands of past forecasts where they ended.

Prices of a line are comparable over splits and dividends: adjusted closes, scaled so that the last one is the price as
traded. Bands start from the same line, as the returns do, so those of the newest forecast are its prices. Times are
seconds since 1970 of closes, by which the chart orders them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        return {
            "closes": [vars(point) for point in self.closes],
            "ahead": None if self.ahead is None else vars(self.ahead),
            "ghosts": [vars(band) for band in self.ghosts],
            "caption": self.caption,
        }


def price_chart(
    bars: Sequence[HistoryBar],
    forecasts: Sequence[HistoryForecast],
    outcomes: Sequence[HistoryOutcome],
    ends: Mapping[datetime, datetime],
    whose: str,
) -> PriceChart:
    """Return the chart of a symbol.

    Parameters
    ----------
    bars
        The oldest first, at least one.
    forecasts
        Of one horizon, in the order in which they were made; the newest of a close counts.
    outcomes
        What came of them, as far as it was known.
    ends
        Close at which the horizon ends, by the close that it begins at.
    whose
        Who made the forecasts, for the caption.
    """
    scale = 1.0 if bars[-1].price_traded is None else bars[-1].price_traded / bars[-1].close
    closes = {bar.event_time: bar.close * scale for bar in bars}
    inside = {outcome.forecast_id: outcome.is_inside for outcome in outcomes}
    newest = {forecast.event_time: forecast for forecast in forecasts if forecast.event_time in closes}
    bands = [
        _band(forecast, closes[at], ends[at], inside.get(forecast.forecast_id))
        for at, forecast in sorted(newest.items())
        if at in ends
    ]
    is_ahead = bool(bands) and bands[-1].until > _seconds(bars[-1].event_time)
    return PriceChart(
        closes=tuple(ChartPoint(_seconds(at), close) for at, close in closes.items()),
        ahead=bands[-1] if is_ahead else None,
        ghosts=tuple(bands[:-1] if is_ahead else bands),
        caption=_caption(bars, bands, whose),
    )


def _caption(bars: Sequence[HistoryBar], bands: Sequence[ChartBand], whose: str) -> str:
    """Say what is to be seen, and how many of the bands held."""
    line = f"Close from {bars[0].session} to {bars[-1].session}, comparable over splits and dividends"
    if bars[-1].price_traded is not None:
        line += " and scaled to the last price as traded"
    known = [band.inside for band in bands if band.inside is not None]
    held = f"{sum(known)} of {len(known)} held the outcome" if known else "none of their outcomes is known yet"
    return f"{line}. 80 % bands of {whose}: {held}."


def _band(forecast: HistoryForecast, start: float, end: datetime, inside: bool | None) -> ChartBand:
    low, middle, high = (start * (1 + value) for value in (forecast.p10, forecast.p50, forecast.p90))
    return ChartBand(_seconds(forecast.event_time), _seconds(end), start, low, middle, high, inside)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
