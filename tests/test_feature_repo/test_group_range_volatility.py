"""Range volatility against its formulas, and against prices whose volatility is known."""

import math

import numpy as np
import pandas as pd
import pytest

from feature_repo.catalog.range_volatility import RANGE_VOLATILITY
from feature_repo.compute import range_volatility
from feature_repo.engines.panel import compute_group
from lake.sources import tiny_market

BARS = tiny_market(["AAA"], 300, seed=12)
FEATURES = compute_group(BARS, RANGE_VOLATILITY)
OPEN, HIGH, LOW, CLOSE = (BARS[name].to_numpy() for name in ("open", "high", "low", "close"))
TRUE_VOLATILITY, DAYS, STEPS = 0.32, 1500, 400


def ours(name: str) -> np.ndarray:
    return FEATURES[name].fill_null(math.nan).to_numpy()


@pytest.fixture(scope="module")
def diffusion() -> tuple[np.ndarray, ...]:
    """Return open, high, low and close of days in which the price diffuses and never jumps."""
    random = np.random.default_rng(5)
    steps = random.standard_normal((DAYS, STEPS)) * TRUE_VOLATILITY / math.sqrt(252 * STEPS)
    path = np.cumsum(steps.ravel()).reshape(DAYS, STEPS)
    start = np.concatenate([[0.0], path[:-1, -1]])
    high, low = np.maximum(path.max(axis=1), start), np.minimum(path.min(axis=1), start)
    return tuple(np.exp(values) for values in (start, high, low, path[:, -1]))


@pytest.mark.parametrize("sessions", [20, 60])
def test_the_formulas_as_published(sessions: int) -> None:
    swing, drift = pd.Series(np.log(HIGH / LOW)), pd.Series(np.log(CLOSE / OPEN))
    parkinson = np.sqrt((swing**2).rolling(sessions).sum() * 252 / (4 * sessions * math.log(2)))
    np.testing.assert_allclose(ours(f"parkinson_{sessions}d"), parkinson, rtol=1e-9)
    daily = 0.5 * swing**2 - (2 * math.log(2) - 1) * drift**2
    np.testing.assert_allclose(
        ours(f"garman_klass_{sessions}d"), np.sqrt(252 * daily.rolling(sessions).mean()), rtol=1e-9
    )


@pytest.mark.parametrize(("short", "long"), [(5, 20), (5, 60), (20, 120)])
def test_the_ratio_is_of_two_deviations(short: int, long: int) -> None:
    returns = pd.Series(CLOSE).pct_change()
    expected = returns.rolling(short).std() / returns.rolling(long).std()
    np.testing.assert_allclose(ours(f"volatility_ratio_{short}d_{long}d"), expected, rtol=1e-9)


def test_a_known_volatility_is_found(diffusion: tuple[np.ndarray, ...]) -> None:
    """Ranges seen at 400 steps a day fall a little short of those of the continuous path."""
    start, high, low, close = diffusion
    parkinson = range_volatility.parkinson_volatility(high, low, DAYS)[-1]
    garman_klass = range_volatility.garman_klass_volatility(start, high, low, close, DAYS)[-1]
    assert 0.93 * TRUE_VOLATILITY < parkinson < 1.01 * TRUE_VOLATILITY
    assert 0.93 * TRUE_VOLATILITY < garman_klass < 1.01 * TRUE_VOLATILITY


def test_ranges_tell_volatility_more_precisely_than_closes(diffusion: tuple[np.ndarray, ...]) -> None:
    """Variance of the daily variance: Parkinson about 5, Garman-Klass about 7 times smaller (the papers' tables)."""
    start, high, low, close = diffusion
    by_close = np.log(close / start) ** 2
    by_parkinson = range_volatility.parkinson_volatility(high, low, 1) ** 2 / 252
    by_garman_klass = range_volatility.garman_klass_volatility(start, high, low, close, 1) ** 2 / 252

    def efficiency(variance: np.ndarray) -> float:
        return by_close.var() / by_close.mean() ** 2 / (variance.var() / variance.mean() ** 2)

    assert 3.5 < efficiency(by_parkinson) < 6.5
    assert 5.5 < efficiency(by_garman_klass) < 9.5


def test_a_bar_without_range_has_a_volatility_of_zero_and_an_unknown_ratio() -> None:
    flat = np.full(30, 7.0)
    assert range_volatility.parkinson_volatility(flat, flat, 20)[-1] == 0
    assert range_volatility.garman_klass_volatility(flat, flat, flat, flat, 20)[-1] == 0
    assert np.isnan(range_volatility.volatility_ratio(flat, 5, 20)).all()
