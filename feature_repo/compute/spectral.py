"""At which pace prices swing: shares of the wavelet variance and Fourier amplitudes of the last returns."""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.rolling import rolling_mean


@kernel
def log_return(price: Bars) -> Bars:
    """Return ``ln(P_t / P_{t-1})``."""
    out = np.full(price.size, np.nan)
    for t in range(1, price.size):
        out[t] = math.log(price[t] / price[t - 1])
    return out


@kernel
def haar_detail(values: Bars, level: int) -> Bars:
    """Return the maximal-overlap Haar coefficient of a level: half of (mean of the last h - mean of the h before).

    ``h = 2^(level - 1)``; the filter looks back only, and nothing is wrapped around or padded (Percival and Walden,
    *Wavelet Methods for Time Series Analysis*, 2000, chapter 5).
    """
    half = 2 ** (level - 1)
    mean = rolling_mean(values, half)
    out = np.full(values.size, np.nan)
    for t in range(half, values.size):
        out[t] = (mean[t] - mean[t - half]) / 2
    return out


@kernel
def wavelet_energy(close: Bars, sessions: int, level: int, levels: int) -> Bars:
    """Return the share of one level in the Haar wavelet variance of the log returns, all levels 1 to `levels` being 1.

    The variance of a level is the mean square of its last n coefficients (Percival and Walden, section 8.3). NaN where
    no level has any, as on a price that stands still.
    """
    returns = log_return(close)
    own, total = np.zeros(close.size), np.zeros(close.size)
    for each in range(1, levels + 1):
        energy = rolling_mean(haar_detail(returns, each) ** 2, sessions)
        total += energy
        if each == level:
            own = energy
    return np.where(total > 0, own / total, np.nan)


@kernel
def fourier_amplitude(close: Bars, sessions: int, cycles: int) -> Bars:
    """Return the amplitude of the wave that fits `cycles` times into the last n log returns.

    ``2 / n x |sum of r_k exp(-2 pi i cycles k / n)|``, in log return. The phase is counted from the first bar of all,
    so the window can slide; the amplitude does not depend on it.
    """
    returns = log_return(close)
    angles = 2 * math.pi * (cycles * np.arange(sessions) % sessions) / sessions
    wave = np.cos(angles), np.sin(angles)
    cosines, sines = np.empty(close.size), np.empty(close.size)
    for t in range(close.size):
        phase = t % sessions
        cosines[t], sines[t] = returns[t] * wave[0][phase], returns[t] * wave[1][phase]
    return 2 * np.hypot(rolling_mean(cosines, sessions), rolling_mean(sines, sessions))
