"""Wavelet energies against PyWavelets, Fourier amplitudes against numpy.fft."""

import math

import numpy as np
import pytest
import pywt
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.catalog.spectral import LEVELS, SESSIONS, SPECTRAL
from feature_repo.compute import spectral
from feature_repo.engines.panel import compute_group
from lake.sources import tiny_market

BARS = tiny_market(["AAA"], 256, seed=13)
FEATURES = compute_group(BARS, SPECTRAL)
RETURNS = np.diff(np.log(BARS["close"].to_numpy()))
WINDOWS = np.lib.stride_tricks.sliding_window_view(RETURNS, SESSIONS)  # [bar - SESSIONS, return]


def ours(name: str) -> np.ndarray:
    return FEATURES[name].fill_null(math.nan).to_numpy()


def details() -> list[np.ndarray]:
    """Return the maximal-overlap coefficients of each level by PyWavelets, NaN where it wraps around.

    Its coefficients of level j stand ``2^j - 1`` values before the newest one they use.
    """
    padded = np.concatenate([RETURNS, np.zeros(-len(RETURNS) % 2**LEVELS)])
    found = pywt.swt(padded, "haar", level=LEVELS, norm=True)
    moved = []
    for level in range(1, LEVELS + 1):
        behind = 2**level - 1
        coefficients = np.roll(found[LEVELS - level][1], behind)[: len(RETURNS)]
        coefficients[:behind] = np.nan
        moved.append(coefficients)
    return moved


@pytest.mark.parametrize("level", range(1, LEVELS + 1))
def test_pywavelets_agrees_on_coefficients_and_energies(level: int) -> None:
    theirs = details()
    np.testing.assert_allclose(np.abs(spectral.haar_detail(RETURNS, level)), np.abs(theirs[level - 1]), atol=1e-15)
    energies = [np.mean(np.lib.stride_tricks.sliding_window_view(c, SESSIONS) ** 2, axis=1) for c in theirs]
    np.testing.assert_allclose(
        ours(f"wavelet_energy_{level}")[SESSIONS:], energies[level - 1] / sum(energies), rtol=1e-9
    )


@pytest.mark.parametrize("period", [64, 32, 16, 8, 4])
def test_numpy_agrees_on_amplitudes(period: int) -> None:
    theirs = 2 / SESSIONS * np.abs(np.fft.rfft(WINDOWS, axis=1))[:, SESSIONS // period]
    np.testing.assert_allclose(ours(f"fourier_amplitude_{period}d")[SESSIONS:], theirs, rtol=1e-9)


def test_the_energies_of_all_levels_make_one() -> None:
    total = sum(ours(f"wavelet_energy_{level}") for level in range(1, LEVELS + 1))
    np.testing.assert_allclose(total[SESSIONS + 2**LEVELS :], 1, rtol=1e-12)


@given(st.sampled_from([1, 2, 4, 8]), st.floats(1e-4, 0.05), st.floats(0, 2 * math.pi), st.integers(65, 140))
def test_a_wave_is_found_at_its_own_pace_with_its_height(cycles: int, height: float, phase: float, bars: int) -> None:
    close = np.exp(np.cumsum(height * np.cos(2 * math.pi * cycles * np.arange(bars) / SESSIONS + phase)))
    found = {each: spectral.fourier_amplitude(close, SESSIONS, each)[-1] for each in (1, 2, 4, 8)}
    assert found.pop(cycles) == pytest.approx(height, rel=1e-6)
    assert max(found.values()) < 1e-9


def test_a_swing_up_and_down_every_day_is_all_in_the_shortest_scale() -> None:
    zigzag = np.exp(0.01 * (np.arange(120) % 2))
    assert spectral.wavelet_energy(zigzag, SESSIONS, 1, LEVELS)[-1] == pytest.approx(1)
    slow = np.exp(np.cumsum(0.01 * np.sign(np.sin(2 * math.pi * (np.arange(200) + 0.5) / 32))))
    shares = [spectral.wavelet_energy(slow, SESSIONS, level, LEVELS)[-1] for level in range(1, LEVELS + 1)]
    assert shares == sorted(shares)


def test_a_price_that_stands_still_has_no_pace() -> None:
    still = np.full(120, 3.0)
    assert np.isnan(spectral.wavelet_energy(still, SESSIONS, 1, LEVELS)).all()
    assert spectral.fourier_amplitude(still, SESSIONS, 1)[-1] == 0
