"""Correlation and beta with the index against numpy, and the test of a shift against its promised error rates."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from feature_repo.catalog.cross_asset import CROSS_ASSET, LONG, SHORT
from feature_repo.compute import cross_asset
from feature_repo.engines.panel import compute_group
from lake.sources import tiny_market
from lake.universe import MARKET

BARS = tiny_market(["AAA", MARKET], 320, seed=15)
FEATURES = compute_group(BARS, CROSS_ASSET)
OWN, INDEX = (BARS.filter(pl.col("symbol") == name)["close"].to_numpy(writable=True) for name in ("AAA", MARKET))
R, M = OWN[1:] / OWN[:-1] - 1, INDEX[1:] / INDEX[:-1] - 1


def ours(name: str) -> np.ndarray:
    return FEATURES[name].fill_null(math.nan).to_numpy()


@pytest.mark.parametrize("sessions", [20, 60, 120, 252])
def test_numpy_agrees_on_the_correlation(sessions: int) -> None:
    expected = [np.corrcoef(R[t - sessions : t], M[t - sessions : t])[0, 1] for t in range(sessions, len(OWN))]
    np.testing.assert_allclose(ours(f"market_correlation_{sessions}d")[sessions:], expected, rtol=1e-9)


@pytest.mark.parametrize("sessions", [20, 60, 120])
def test_beta_is_the_slope_of_the_regression_on_the_market(sessions: int) -> None:
    expected = [np.polyfit(M[t - sessions : t], R[t - sessions : t], 1)[0] for t in range(sessions, len(OWN))]
    np.testing.assert_allclose(ours(f"market_beta_{sessions}d")[sessions:], expected, rtol=1e-9)


def test_a_shift_is_fishers_test_of_two_windows_that_share_no_return() -> None:
    expected = np.full(len(OWN), np.nan)
    for t in range(SHORT + LONG, len(OWN)):
        recent, before = slice(t - SHORT, t), slice(t - SHORT - LONG, t - SHORT)
        apart = np.arctanh(stats.pearsonr(R[recent], M[recent])[0]) - np.arctanh(
            stats.pearsonr(R[before], M[before])[0]
        )
        expected[t] = apart / math.sqrt(1 / (SHORT - 3) + 1 / (LONG - 3))
    np.testing.assert_allclose(ours("correlation_shift_score"), expected, rtol=1e-9)
    flags = np.where(np.isnan(expected), np.nan, np.abs(expected) > stats.norm.ppf(0.975))
    np.testing.assert_array_equal(ours("correlation_shift"), flags)


def prices(returns: np.ndarray) -> np.ndarray:
    return np.concatenate([[1.0], np.cumprod(1 + returns)])


def test_the_flag_is_raised_on_one_in_twenty_where_nothing_shifts_and_always_after_a_break() -> None:
    random = np.random.default_rng(6)
    market = random.normal(0, 0.01, 40_000)
    steady = prices(0.6 * market + 0.8 * random.normal(0, 0.01, market.size))
    flags = cross_asset.has_correlation_shifted(steady, prices(market), SHORT, LONG)
    assert 0.04 < np.nanmean(flags) < 0.065
    turned = np.where(np.arange(300) < 280, market[:300], -market[:300])
    broken = prices(turned + random.normal(0, 0.002, 300))
    assert cross_asset.has_correlation_shifted(broken, prices(market[:300]), SHORT, LONG)[-1] == 1


def test_a_bar_of_the_index_that_is_missing_is_missing_from_every_window_that_needs_it() -> None:
    gone = BARS.filter(pl.col("symbol") == MARKET)["event_time"][250]
    holed = compute_group(BARS.filter((pl.col("symbol") != MARKET) | (pl.col("event_time") != gone)), CROSS_ASSET)
    unknown = holed.with_row_index("n").filter(pl.col("market_correlation_20d").is_null(), pl.col("n") >= 20)["n"]
    assert unknown.to_list() == list(range(250, 250 + 21))


def test_a_symbol_that_stands_still_moves_with_nothing() -> None:
    still = np.full(200, 3.0)
    assert np.isnan(cross_asset.market_correlation(still, INDEX[:200], 20)).all()
    assert np.isnan(cross_asset.has_correlation_shifted(still, INDEX[:200], SHORT, LONG)).all()
    assert np.isnan(cross_asset.has_correlation_shifted(INDEX, INDEX, SHORT, LONG)).all()


def test_a_symbol_that_is_its_own_index_has_no_shift_of_correlation() -> None:
    """Its correlation is one but for rounding, and by rounding alone no score is made."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, 400)))
    index = np.round(close * 3, 8)
    assert np.isnan(cross_asset.correlation_shift_score(close, index, SHORT, LONG)).all()
