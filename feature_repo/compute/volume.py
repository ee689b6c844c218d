"""Traded volume, against its own past and in money."""

import math

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.rolling import rolling_mean


@kernel
def volume_ratio(volume: Bars, sessions: int) -> Bars:
    """Return ``V_t / mean(V over the last n bars, t included)``; NaN where a volume is unknown or all are zero."""
    mean = rolling_mean(volume, sessions)
    out = np.full(volume.size, np.nan)
    for t in range(volume.size):
        if mean[t] > 0:
            out[t] = volume[t] / mean[t]
    return out


@kernel
def dollar_volume(close_unadjusted: Bars, volume_unadjusted: Bars) -> Bars:
    """Return unadjusted close x unadjusted volume; NaN where either is unknown."""
    return close_unadjusted * volume_unadjusted


@kernel
def log_dollar_volume(close_unadjusted: Bars, volume_unadjusted: Bars) -> Bars:
    """Return the natural logarithm of the traded money; NaN where none changed hands or it is unknown."""
    out = np.full(close_unadjusted.size, np.nan)
    for t in range(out.size):
        money = close_unadjusted[t] * volume_unadjusted[t]
        if money > 0:
            out[t] = math.log(money)
    return out
