"""Trend and oscillation indicators of the adjusted close. The outside answer for each is TA-Lib."""

from functools import reduce
from operator import add

import polars as pl

from feature_repo.compute.smoothing import exponential_mean, wilder_mean

CLOSE = pl.col("close")


def relative_strength_index(sessions: int) -> pl.Expr:
    """Return Wilder's RSI, 0 to 100; null while nothing has moved, where it is 0 / 0 (TA-Lib says 0 there).

    ``100 x G / (G + L)``, with G and L Wilder's means of the gains and of the losses, seeded with the plain mean of
    the first n changes.
    """
    change = CLOSE - CLOSE.shift(1)
    gain = wilder_mean(change.clip(lower_bound=0), sessions)
    loss = wilder_mean((-change).clip(lower_bound=0), sessions)
    return pl.when(gain + loss > 0).then(100 * gain / (gain + loss))


def macd(fast: int, slow: int) -> pl.Expr:
    """Return the fast minus the slow exponential mean of the close, in price.

    Both means are seeded at bar `slow`, with the plain mean of their last `fast` and `slow` closes: the seeding of
    TA-Lib, so that both start together.
    """
    return exponential_mean(CLOSE, fast, seeded_at=slow) - exponential_mean(CLOSE, slow)


def macd_signal(fast: int, slow: int, signal: int) -> pl.Expr:
    """Return the exponential mean of `macd`, seeded with the plain mean of its first `signal` values."""
    return exponential_mean(macd(fast, slow), signal)


def is_above(fast: int, slow: int) -> pl.Expr:
    """Return 1 where the fast plain mean of the close lies above the slow one, else 0; null before the slow exists."""
    return (CLOSE.rolling_mean(fast) > CLOSE.rolling_mean(slow)).cast(pl.Float64)


def bollinger_position(sessions: int, deviations: float) -> pl.Expr:
    """Return where the close lies between the lower (0) and the upper (1) Bollinger band.

    Bands are the plain mean of the last n closes -/+ `deviations` population standard deviations (John Bollinger,
    *Bollinger on Bollinger Bands*, 2001). The deviation is taken in two passes over ``P_{t-k} / P_t - 1``, because a
    one-pass sum of squared prices loses the digits that matter when the band is narrow. Null on a flat window.
    """
    steps = [CLOSE.shift(back) / CLOSE - 1 for back in range(sessions)]
    mean = reduce(add, steps) / sessions  # one after the other: a horizontal sum may change its order between runs
    variance = reduce(add, [(step - mean) ** 2 for step in steps]) / sessions
    half_width = deviations * variance.sqrt()
    return pl.when(half_width > 0).then(0.5 - mean / (2 * half_width))
