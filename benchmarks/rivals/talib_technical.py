"""The technical features as a loop over symbols that calls TA-Lib, as a careful user of it would write."""

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.universe import MARKET

Arrays = dict[str, npt.NDArray[np.float64]]
FIELDS = ("high", "low", "close", "volume")


def compute(bars: pl.DataFrame) -> dict[str, Arrays]:
    """Compute the features of every symbol but the index; arrays by feature, by symbol.

    Bars are sorted by symbol and time, and every symbol has those of the index.
    """
    market = bars.filter(pl.col("symbol") == MARKET)["close"].to_numpy()
    own = bars.filter(pl.col("symbol") != MARKET).select("symbol", *FIELDS)
    return {
        str(symbol[0]): _features({name: rows[name].to_numpy() for name in FIELDS}, market)
        for symbol, rows in own.group_by("symbol", maintain_order=True)
    }


def _features(bars: Arrays, market: npt.NDArray[np.float64]) -> Arrays:
    import talib

    high, low, close, volume = (bars[name] for name in FIELDS)
    year = math.sqrt(252)
    returns, of_market = talib.ROCP(close, 1), talib.ROCP(market, 1)
    line, signal, _ = talib.MACD(close, 12, 26, 9)
    upper, _, lower = talib.BBANDS(close, 20, 2, 2)
    slope = talib.CORREL(returns[1:], of_market[1:], 252)
    slope *= talib.STDDEV(returns[1:], 252) / talib.STDDEV(of_market[1:], 252)
    return {
        **{f"return_{n}d": talib.ROCP(close, n) for n in (1, 5, 20, 60, 120, 252)},
        **{f"volatility_{n}d": _volatility(returns, n, year) for n in (5, 20, 60)},
        **{f"volume_ratio_{n}d": volume / talib.SMA(volume, n) for n in (5, 20)},
        "dollar_volume": close * volume,
        "market_beta": np.concatenate([[math.nan], slope]),
        "market_return": of_market,
        "market_volatility": _volatility(of_market, 20, year),
        "rsi_14": talib.RSI(close, 14),
        "macd": line,
        "macd_signal": signal,
        "sma_50_200_cross": np.greater(talib.SMA(close, 50), talib.SMA(close, 200)).astype(float),
        "bollinger_position": (close - lower) / (upper - lower),
        "atr_14": talib.ATR(high, low, close, 14),
    }


def _volatility(returns: npt.NDArray[np.float64], sessions: int, year: float) -> npt.NDArray[np.float64]:
    import talib

    sample = math.sqrt(sessions / (sessions - 1))  # TA-Lib divides by n
    return np.concatenate([[math.nan], talib.STDDEV(returns[1:], sessions)]) * year * sample
