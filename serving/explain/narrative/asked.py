"""The forecast that a question names: looked up before the question is accepted, so without all that explains it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from lake.errors import UnknownNameError
from lake.tables import FORECASTS
from serving.forecasts import VISIBLE

if TYPE_CHECKING:
    from lake.store import Lake
    from serving.forecast_log import LogReader


@dataclass(frozen=True)
class AskedForecast:
    """Which symbol a forecast is of, and the market time at which it was made."""

    symbol: str
    known_time: datetime


def asked_forecast(lake: "Lake", logged: "LogReader", forecast_id: str) -> AskedForecast:
    """Return a stored forecast that may be shown, from the log or else from the lake.

    Raises
    ------
    UnknownNameError
        If no forecast has that id, or it is a challenger's.
    """
    found = logged.get(forecast_id)
    if found is not None and found.kind in VISIBLE:
        return AskedForecast(found.symbol, datetime.fromisoformat(json.loads(found.row)["known_time"]))
    if found is None and lake.exists(FORECASTS):
        is_asked = (pl.col("forecast_id") == forecast_id) & pl.col("kind").is_in(VISIBLE)
        for symbol, known_time in lake.scan(FORECASTS).filter(is_asked).select("symbol", "known_time").collect().rows():
            return AskedForecast(symbol, known_time)
    raise UnknownNameError("prediction", forecast_id, [])
