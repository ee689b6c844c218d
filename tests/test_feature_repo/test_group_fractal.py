"""Hurst exponent and fractal dimension against their published definitions, and on paths whose answer is known."""

import math

import numpy as np
import pytest

from feature_repo.catalog.fractal import FRACTAL, LAGS
from feature_repo.compute import fractal
from feature_repo.engines.panel import compute_group
from lake.sources import tiny_market

BARS = tiny_market(["AAA"], 300, seed=14)
FEATURES = compute_group(BARS, FRACTAL)
CLOSE = BARS["close"].to_numpy()


def ours(name: str) -> np.ndarray:
    return FEATURES[name].fill_null(math.nan).to_numpy()


def rescaled_range(block: np.ndarray) -> float:
    path = np.cumsum(block - block.mean())
    return (max(path.max(), 0) - min(path.min(), 0)) / block.std()


def expected_range(n: int) -> float:
    """Expectation for independent normal values, by Anis and Lloyd."""
    return (
        math.gamma((n - 1) / 2)
        / math.gamma(n / 2)
        / math.sqrt(math.pi)
        * sum(math.sqrt((n - i) / i) for i in range(1, n))
    )


def hurst(returns: np.ndarray) -> float:
    sizes = [2**k for k in range(3, 8) if 2**k < len(returns)]
    means = [np.mean([rescaled_range(block) for block in returns.reshape(-1, n)]) / expected_range(n) for n in sizes]
    return 0.5 + np.polyfit(np.log(sizes), np.log(means), 1)[0]


def higuchi(series: np.ndarray, largest: int) -> float:
    """Higuchi's algorithm as the paper has it, curve by curve."""
    n, lengths = len(series), []
    for k in range(1, largest + 1):
        curves = []
        for m in range(1, k + 1):
            steps = (n - m) // k
            length = sum(abs(series[m - 1 + i * k] - series[m - 1 + (i - 1) * k]) for i in range(1, steps + 1))
            curves.append(length * (n - 1) / (steps * k) / k)
        lengths.append(np.mean(curves))
    return np.polyfit(np.log(1 / np.arange(1, largest + 1)), np.log(lengths), 1)[0]


@pytest.mark.parametrize("sessions", [128, 256])
def test_hurst_as_published(sessions: int) -> None:
    returns = np.diff(np.log(CLOSE))
    expected = [hurst(returns[t - sessions : t]) for t in range(sessions, len(CLOSE))]
    np.testing.assert_allclose(ours(f"hurst_{sessions}d")[sessions:], expected, rtol=1e-9)


@pytest.mark.parametrize("sessions", [60, 120])
def test_higuchi_as_published(sessions: int) -> None:
    expected = [higuchi(np.log(CLOSE[t + 1 - sessions : t + 1]), LAGS) for t in range(sessions - 1, len(CLOSE))]
    np.testing.assert_allclose(ours(f"fractal_dimension_{sessions}d")[sessions - 1 :], expected, rtol=1e-9)


@pytest.mark.parametrize("sessions", [8, 32])
def test_independent_normal_values_have_a_rescaled_range_of_one(sessions: int) -> None:
    blocks = np.random.default_rng(0).standard_normal((10_000, sessions))
    mean = np.mean([rescaled_range(block) for block in blocks]) / expected_range(sessions)
    assert mean == pytest.approx(1, abs=0.015)
    found = fractal.rescaled_range(blocks.ravel(), sessions)[sessions - 1 :: sessions]
    assert np.mean(found) == pytest.approx(mean, rel=1e-9)


def fractional_noise(d: float, size: int, seed: int) -> np.ndarray:
    """Noise with a Hurst exponent of ``0.5 + d``: normal values averaged with slowly falling weights."""
    weights = np.cumprod([1, *((k - 1 + d) / k for k in range(1, 2000))])
    return np.convolve(np.random.default_rng(seed).standard_normal(size + 1999), weights, "valid")


@pytest.mark.parametrize(("d", "low", "high"), [(0.0, 0.46, 0.54), (0.3, 0.63, 0.85), (-0.3, 0.15, 0.37)])
def test_the_hurst_exponent_of_noise_with_a_memory_is_found(d: float, low: float, high: float) -> None:
    close = np.exp(np.concatenate([[0], np.cumsum(0.01 * fractional_noise(d, 20_000, 3))]))
    assert low < np.nanmean(fractal.hurst_exponent(close, 256)) < high


def test_the_dimension_of_a_line_a_walk_and_a_noise() -> None:
    random = np.random.default_rng(4)
    trend, walk, noise = np.arange(5000) / 5000, np.cumsum(random.normal(0, 0.01, 5000)), random.normal(0, 0.01, 5000)
    found = [np.nanmean(fractal.higuchi_dimension(np.exp(path), 120, LAGS)) for path in (trend, walk, noise)]
    assert found == [pytest.approx(1, abs=1e-9), pytest.approx(1.5, abs=0.02), pytest.approx(2, abs=0.02)]


def test_a_price_that_stands_still_is_neither_rough_nor_smooth() -> None:
    still = np.full(300, 3.0)
    assert np.isnan(fractal.hurst_exponent(still, 128)).all()
    assert np.isnan(fractal.higuchi_dimension(still, 60, LAGS)).all()
