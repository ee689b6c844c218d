"""The shape of one bar: body, shadows and where the close lies, against the open or against the bar's own range."""

import numpy as np

from feature_repo.compute.kernel import Bars, kernel

NEAR_ZERO = 1e-12
"""What Qlib adds to a denominator that may be zero."""


@kernel
def body(opened: Bars, close: Bars) -> Bars:
    """Return the body, up or down, against the open."""
    return (close - opened) / opened


@kernel
def body_of_range(opened: Bars, high: Bars, low: Bars, close: Bars) -> Bars:
    """Return the body, up or down, against the range."""
    return (close - opened) / (high - low + NEAR_ZERO)


@kernel
def length(opened: Bars, high: Bars, low: Bars) -> Bars:
    """Return the range against the open."""
    return (high - low) / opened


@kernel
def upper_shadow(opened: Bars, high: Bars, close: Bars) -> Bars:
    """Return what lies above the body, against the open."""
    return (high - np.maximum(opened, close)) / opened


@kernel
def upper_shadow_of_range(opened: Bars, high: Bars, low: Bars, close: Bars) -> Bars:
    """Return what lies above the body, against the range."""
    return (high - np.maximum(opened, close)) / (high - low + NEAR_ZERO)


@kernel
def lower_shadow(opened: Bars, low: Bars, close: Bars) -> Bars:
    """Return what lies below the body, against the open."""
    return (np.minimum(opened, close) - low) / opened


@kernel
def lower_shadow_of_range(opened: Bars, high: Bars, low: Bars, close: Bars) -> Bars:
    """Return what lies below the body, against the range."""
    return (np.minimum(opened, close) - low) / (high - low + NEAR_ZERO)


@kernel
def shift(opened: Bars, high: Bars, low: Bars, close: Bars) -> Bars:
    """Return how far the close lies above the middle of the range, twice, against the open."""
    return (2 * close - high - low) / opened


@kernel
def shift_of_range(high: Bars, low: Bars, close: Bars) -> Bars:
    """Return how far the close lies above the middle of the range, twice, against the range."""
    return (2 * close - high - low) / (high - low + NEAR_ZERO)
