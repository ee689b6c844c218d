"""Trend and oscillation indicators of the adjusted close. The outside answer for each is TA-Lib."""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.rolling import rolling_mean, rolling_variance, seeded_mean


@kernel
def relative_strength_index(close: Bars, sessions: int) -> Bars:
    """Return Wilder's RSI, 0 to 100; NaN while nothing has moved, where it is 0 / 0 (TA-Lib says 0 there).

    ``100 x G / (G + L)``, with G and L Wilder's means of the gains and of the losses, seeded with the plain mean of
    the first n changes.
    """
    gains, losses = np.full(close.size, np.nan), np.full(close.size, np.nan)
    for t in range(1, close.size):
        change = close[t] - close[t - 1]
        gains[t], losses[t] = max(change, 0.0), max(-change, 0.0)
    gain = seeded_mean(gains, 1 / sessions, sessions, sessions)
    loss = seeded_mean(losses, 1 / sessions, sessions, sessions)
    out = np.full(close.size, np.nan)
    for t in range(close.size):
        if gain[t] + loss[t] > 0:
            out[t] = 100 * gain[t] / (gain[t] + loss[t])
    return out


@kernel
def macd(close: Bars, fast: int, slow: int) -> Bars:
    """Return the fast minus the slow exponential mean of the close, in price.

    Both means are seeded at bar `slow`, with the plain mean of their last `fast` and `slow` closes: the seeding of
    TA-Lib, so that both start together.
    """
    return seeded_mean(close, 2 / (fast + 1), fast, slow) - seeded_mean(close, 2 / (slow + 1), slow, slow)


@kernel
def macd_signal(close: Bars, fast: int, slow: int, signal: int) -> Bars:
    """Return the exponential mean of `macd`, seeded with the plain mean of its first `signal` values."""
    return seeded_mean(macd(close, fast, slow), 2 / (signal + 1), signal, signal)


@kernel
def relative_macd(close: Bars, fast: int, slow: int) -> Bars:
    """Return `macd` as a fraction of the close."""
    return macd(close, fast, slow) / close


@kernel
def is_above(close: Bars, fast: int, slow: int) -> Bars:
    """Return 1 where the fast plain mean of the close lies above the slow one, else 0; NaN before the slow exists."""
    quick, steady = rolling_mean(close, fast), rolling_mean(close, slow)
    out = np.full(close.size, np.nan)
    for t in range(close.size):
        if not math.isnan(quick[t]) and not math.isnan(steady[t]):
            out[t] = 1.0 if quick[t] > steady[t] else 0.0
    return out


@kernel
def bollinger_position(close: Bars, sessions: int, deviations: float) -> Bars:
    """Return where the close lies between the lower (0) and the upper (1) Bollinger band; NaN on a flat window.

    Bands are the plain mean of the last n closes -/+ `deviations` population standard deviations (John Bollinger,
    *Bollinger on Bollinger Bands*, 2001).
    """
    mean, variance = rolling_mean(close, sessions), rolling_variance(close, sessions)
    out = np.full(close.size, np.nan)
    for t in range(close.size):
        half_width = deviations * math.sqrt(variance[t] * (sessions - 1) / sessions)
        if half_width > 0:
            out[t] = 0.5 + (close[t] - mean[t]) / (2 * half_width)
    return out
