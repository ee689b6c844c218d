"""The volume features against TA-Lib, rolling sums of pandas and arithmetic done by hand."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.catalog.volume import VOLUME
from feature_repo.compute import on_balance
from feature_repo.engines.panel import compute_group
from lake.sources import tiny_market
from support.properties import examples

BARS = tiny_market(["AAA"], 300, seed=11)
FEATURES = compute_group(BARS, VOLUME)
OPEN, HIGH, LOW, CLOSE, TRADED = (BARS[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))


def ours(name: str) -> np.ndarray:
    return FEATURES[name].fill_null(math.nan).to_numpy()


def gained(total: np.ndarray, sessions: int) -> np.ndarray:
    return np.concatenate([np.full(sessions, np.nan), total[sessions:] - total[:-sessions]])


@pytest.mark.parametrize("sessions", [20, 60])
def test_talib_agrees_on_what_on_balance_volume_gained(sessions: int) -> None:
    expected = gained(talib.OBV(CLOSE, TRADED), sessions)
    np.testing.assert_allclose(ours(f"obv_{sessions}d"), expected, rtol=1e-9)


@pytest.mark.parametrize("sessions", [20, 60])
def test_the_share_is_of_the_volume_of_the_same_bars(sessions: int) -> None:
    volume = pd.Series(TRADED, copy=True)
    volume.iloc[0] = np.nan  # the first bar has no direction
    expected = gained(talib.OBV(CLOSE, TRADED), sessions) / volume.rolling(sessions).sum()
    np.testing.assert_allclose(ours(f"obv_share_{sessions}d"), expected, rtol=1e-9)


@pytest.mark.parametrize("sessions", [5, 20])
def test_pandas_agrees_on_the_volume_weighted_price(sessions: int) -> None:
    typical, volume = pd.Series(talib.TYPPRICE(HIGH, LOW, CLOSE)), pd.Series(TRADED)
    expected = (typical * volume).rolling(sessions).sum() / volume.rolling(sessions).sum()
    np.testing.assert_allclose(ours(f"vwap_{sessions}d"), expected, rtol=1e-9)
    np.testing.assert_allclose(ours(f"vwap_gap_{sessions}d"), CLOSE / expected - 1, atol=1e-12)


@pytest.mark.parametrize("sessions", [1, 5, 20])
def test_talib_agrees_on_the_rate_of_change(sessions: int) -> None:
    np.testing.assert_allclose(ours(f"volume_change_{sessions}d"), talib.ROCP(TRADED, sessions), rtol=1e-9, atol=1e-15)


def test_four_bars_by_hand() -> None:
    close, volume = np.array([10.0, 11, 11, 9]), np.array([100.0, 200, 50, 400])
    nan = math.nan
    np.testing.assert_array_equal(on_balance.on_balance_volume(close, volume, 2), [nan, nan, 200, -400])
    np.testing.assert_allclose(on_balance.on_balance_share(close, volume, 2), [nan, nan, 200 / 250, -400 / 450])
    vwap = on_balance.volume_weighted_price(close + 1, close - 1, close, volume, 2)
    np.testing.assert_allclose(vwap, [nan, 3200 / 300, 11, (550 + 3600) / 450])


@examples(8)
@given(st.integers(0, 2**32 - 1))
def test_the_weighted_price_lies_within_the_range_of_its_bars(seed: int) -> None:
    bars = tiny_market(["AAA"], 30, seed)
    vwap = compute_group(bars, VOLUME)["vwap_5d"].to_numpy()[4:]
    low, high = (
        bars.select(pl.col("low").rolling_min(5), pl.col("high").rolling_max(5))[name] for name in ("low", "high")
    )
    assert (vwap >= low[4:].to_numpy() * (1 - 1e-12)).all()
    assert (vwap <= high[4:].to_numpy() * (1 + 1e-12)).all()


def test_where_nothing_is_traded_nothing_is_known_of_it() -> None:
    silent = BARS.with_columns(pl.when(pl.int_range(pl.len()) >= 200).then(0.0).otherwise("volume").alias("volume"))
    last = compute_group(silent, VOLUME).row(-1, named=True)
    assert {name for name, value in last.items() if value is None} == {
        "obv_share_20d", "obv_share_60d", "vwap_5d", "vwap_20d", "vwap_gap_5d", "vwap_gap_20d",
        "volume_change_1d", "volume_change_5d", "volume_change_20d",
    }  # fmt: skip
    assert (last["obv_20d"], last["obv_60d"]) == (0.0, 0.0)
