"""Features against answers from outside: TA-Lib, numpy, and arithmetic done by hand."""

import math

import numpy as np
import polars as pl
import pytest
import talib

from feature_repo.engines.panel import compute_technical
from lake.universe import MARKET

FULL = ("AAPL", "AMZN", "GOOG", "IBM", "META", "MSFT", "NVDA")
CLOSE_ONLY = ("JPM", "XOM")
TOLERANCE = 1e-9


def of(frame: pl.DataFrame, symbol: str) -> pl.DataFrame:
    return frame.filter(pl.col("symbol") == symbol).sort("event_time")


def values(frame: pl.DataFrame, symbol: str, name: str) -> np.ndarray:
    return of(frame, symbol)[name].cast(pl.Float64).fill_null(float("nan")).to_numpy(writable=True)


def assert_same(ours: np.ndarray, theirs: np.ndarray, scale: np.ndarray | float = 0.0) -> None:
    """Known at the same bars, and equal to a relative 1e-9; `scale` is the size of what was subtracted to get there."""
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    known = ~np.isnan(ours)
    size = np.maximum(np.abs(theirs), scale)[known]
    assert known.any()
    assert np.max(np.abs(ours - theirs)[known] / np.where(size > 0, size, 1)) < TOLERANCE


@pytest.mark.parametrize("symbol", FULL + CLOSE_ONLY)
def test_talib_agrees_on_rsi_from_the_first_bar(
    real_bars: pl.DataFrame, real_features: pl.DataFrame, symbol: str
) -> None:
    close = values(real_bars, symbol, "close")
    assert_same(values(real_features, symbol, "rsi_14"), talib.RSI(close, 14))


@pytest.mark.parametrize("symbol", FULL + CLOSE_ONLY)
def test_talib_agrees_on_macd_and_its_signal(real_bars: pl.DataFrame, real_features: pl.DataFrame, symbol: str) -> None:
    close = values(real_bars, symbol, "close")
    line, signal, _ = talib.MACD(close, 12, 26, 9)
    ours = values(real_features, symbol, "macd")
    ours[:33] = math.nan  # TA-Lib shows the line only where its signal exists; ours begins at bar 26
    assert_same(ours, line, scale=close)
    assert_same(values(real_features, symbol, "macd_signal"), signal, scale=close)
    assert_same(values(real_features, symbol, "macd_relative")[33:], (line / close)[33:], scale=1.0)


@pytest.mark.parametrize("symbol", FULL + CLOSE_ONLY)
def test_talib_agrees_on_moving_averages_and_their_crossing(
    real_bars: pl.DataFrame, real_features: pl.DataFrame, symbol: str
) -> None:
    close = values(real_bars, symbol, "close")
    slow = talib.SMA(close, 200)
    crossed = np.where(np.isnan(slow), math.nan, talib.SMA(close, 50) > slow)
    np.testing.assert_array_equal(values(real_features, symbol, "sma_50_200_cross"), crossed)


@pytest.mark.parametrize("symbol", FULL + CLOSE_ONLY)
def test_talib_agrees_on_the_bollinger_bands(real_bars: pl.DataFrame, real_features: pl.DataFrame, symbol: str) -> None:
    close = values(real_bars, symbol, "close")
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    ours = values(real_features, symbol, "bollinger_position")
    # TA-Lib sums squared prices in one pass; how many digits that costs depends on price / width of the band.
    assert_same(ours, (close - lower) / (upper - lower), scale=1e-3 * middle / (upper - lower))
    window = np.lib.stride_tricks.sliding_window_view(close, 20)
    exact = 0.5 + (close[19:] - window.mean(axis=1)) / (4 * window.std(axis=1))
    assert_same(ours[19:], exact, scale=1.0)


@pytest.mark.parametrize("symbol", FULL)
def test_talib_agrees_on_the_average_true_range(
    real_bars: pl.DataFrame, real_features: pl.DataFrame, symbol: str
) -> None:
    high, low, close = (values(real_bars, symbol, name) for name in ("high", "low", "close"))
    theirs = talib.ATR(high, low, close, 14)
    assert_same(values(real_features, symbol, "atr_14"), theirs)
    assert_same(values(real_features, symbol, "atr_relative"), theirs / close)


@pytest.mark.parametrize("sessions", [1, 5, 20, 60, 120, 252])
def test_returns_are_price_ratios(real_bars: pl.DataFrame, real_features: pl.DataFrame, sessions: int) -> None:
    for symbol in FULL + CLOSE_ONLY:
        close = values(real_bars, symbol, "close")
        expected = np.full(len(close), math.nan)
        expected[sessions:] = close[sessions:] / close[:-sessions] - 1
        np.testing.assert_array_equal(values(real_features, symbol, f"return_{sessions}d"), expected)


@pytest.mark.parametrize("sessions", [5, 20, 60])
def test_volatility_is_the_deviation_of_returns(
    real_bars: pl.DataFrame, real_features: pl.DataFrame, sessions: int
) -> None:
    for symbol in FULL + CLOSE_ONLY:
        close = values(real_bars, symbol, "close")
        returns = close[1:] / close[:-1] - 1
        window = np.lib.stride_tricks.sliding_window_view(returns, sessions)
        expected = np.full(len(close), math.nan)
        expected[sessions:] = window.std(axis=1, ddof=1) * math.sqrt(252)
        assert_same(values(real_features, symbol, f"volatility_{sessions}d"), expected)


def test_beta_is_the_slope_on_the_market(real_bars: pl.DataFrame, real_features: pl.DataFrame) -> None:
    market = of(real_bars, MARKET).select("event_time", pl.col("close").alias("market"))
    for symbol in ("AAPL", "XOM"):
        both = of(real_bars, symbol).join(market, on="event_time", how="left")
        own, index = (both[name].to_numpy() for name in ("close", "market"))
        r, m = own[1:] / own[:-1] - 1, index[1:] / index[:-1] - 1
        expected = np.full(len(own), math.nan)
        for t in range(252, len(own)):
            covariance = np.cov(r[t - 252 : t], m[t - 252 : t])
            expected[t] = covariance[0, 1] / covariance[1, 1]
        assert_same(values(real_features, symbol, "market_beta"), expected)


def test_the_market_is_told_to_every_symbol(real_bars: pl.DataFrame, real_features: pl.DataFrame) -> None:
    index = of(real_bars, MARKET)
    close = index["close"].to_numpy()
    returns = close[1:] / close[:-1] - 1
    deviations = np.lib.stride_tricks.sliding_window_view(returns, 20).std(axis=1, ddof=1) * math.sqrt(252)
    expected = index.select("event_time").with_columns(
        pl.Series("r", [math.nan, *returns]), pl.Series("v", [*[math.nan] * 20, *deviations])
    )
    for symbol in ("META", "KO"):
        both = of(real_features, symbol).join(expected, on="event_time", how="left")
        assert_same(both["market_return"].fill_null(math.nan).to_numpy(), both["r"].to_numpy())
        assert_same(both["market_volatility"].fill_null(math.nan).to_numpy(), both["v"].to_numpy())


def test_volume_and_money_by_hand(real_bars: pl.DataFrame, real_features: pl.DataFrame) -> None:
    bars, features = of(real_bars, "NVDA"), of(real_features, "NVDA")
    volume = bars["volume"].to_numpy()
    for sessions in (5, 20):
        window = np.lib.stride_tricks.sliding_window_view(volume, sessions)
        expected = np.full(len(volume), math.nan)
        expected[sessions - 1 :] = volume[sessions - 1 :] / window.mean(axis=1)
        assert_same(features[f"volume_ratio_{sessions}d"].fill_null(math.nan).to_numpy(), expected)
    money = (bars["close_unadjusted"] * bars["volume_unadjusted"]).to_numpy()
    np.testing.assert_array_equal(features["dollar_volume"].to_numpy(), money)
    assert_same(features["log_dollar_volume"].to_numpy(), np.log(money))


def test_what_a_close_only_bar_cannot_support_is_null(real_features: pl.DataFrame) -> None:
    features = of(real_features, "JPM")
    for name in ("atr_14", "atr_relative", "volume_ratio_5d", "volume_ratio_20d", "dollar_volume", "log_dollar_volume"):
        assert features[name].null_count() == features.height, name
    assert features["rsi_14"].null_count() == 14


def test_no_feature_is_nan_or_infinite_on_degenerate_bars(small_market) -> None:
    bars = small_market(300)
    flat = bars.with_columns(pl.lit(10.0).alias(name) for name in ("open", "high", "low", "close"))
    silent = flat.with_columns(pl.lit(0.0).alias(name) for name in ("volume", "volume_unadjusted"))
    features = compute_technical(silent).drop("symbol", "event_time", "known_time")
    for column in features:
        assert column.is_finite().all() or column.drop_nulls().is_finite().all(), column.name
    last = features.row(-1, named=True)
    # 0 / 0 is not known; a price that stands still has a return and a volatility of zero, which is known.
    unknown = ("rsi_14", "bollinger_position", "market_beta", "volume_ratio_20d", "log_dollar_volume")
    assert {name: last[name] for name in unknown} == dict.fromkeys(unknown)
    assert (last["return_1d"], last["volatility_20d"], last["atr_14"], last["dollar_volume"]) == (0.0, 0.0, 0.0, 0.0)


def test_an_extreme_bar_leaves_no_trace_once_it_left_the_window(small_market) -> None:
    bars = small_market(200)
    wild = bars.with_columns(
        pl.when(pl.col("event_time").rank("ordinal").over("symbol") == 50)
        .then(pl.col("close") * 1e7)
        .otherwise("close")
        .alias("close")
    )
    calm, after = of(compute_technical(bars), "AAA").tail(100), of(compute_technical(wild), "AAA").tail(100)
    for name in ("volatility_5d", "volatility_20d", "volatility_60d", "bollinger_position"):
        assert_same(after[name].to_numpy()[15:], calm[name].to_numpy()[15:])


def test_a_missing_high_in_the_middle_is_passed_over(small_market) -> None:
    """A hole before the seed is complete delays the average; one after it leaves a null and no other trace."""
    bars = of(small_market(60), "AAA").with_row_index("n")
    holed = bars.with_columns(
        pl.when(pl.col("n").is_in([5, 30])).then(None).otherwise(pl.col(name)).alias(name) for name in ("high", "low")
    )
    atr = compute_technical(holed.drop("n"))["atr_14"].to_list()
    high, low, close = (holed[name].to_list() for name in ("high", "low", "close"))
    ranges = [
        None if high[t] is None else max(high[t], close[t - 1]) - min(low[t], close[t - 1])
        for t in range(1, len(close))
    ]
    expected: list[float | None] = [None]
    known: list[float] = []
    state = math.nan
    for true_range in ranges:
        if true_range is None:
            expected.append(None)
            continue
        known.append(true_range)
        state = sum(known) / 14 if len(known) == 14 else (state * 13 + true_range) / 14
        expected.append(state if len(known) >= 14 else None)
    assert [value is None for value in atr] == [value is None for value in expected]
    pairs = [(ours, theirs) for ours, theirs in zip(atr, expected, strict=True) if theirs is not None]
    assert pairs == [(pytest.approx(theirs, rel=TOLERANCE), theirs) for _, theirs in pairs]
