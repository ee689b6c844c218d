"""Batch granularity of an engine: the multiple of windows at which an answer's bits do not depend on the batch.

What is exported since `serving.engines.batch_bits` needs one. A file of before may need two or four, and another
processor may have other habits; so it is measured when an engine is loaded, and never assumed.
"""

from typing import TYPE_CHECKING

import numpy as np

from lake.errors import EngineError
from serving.engines.base import CHUNK_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from serving.engines.signature import Signature

    Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

GRAINS = (1, 2, 4, 8, 16)
"""Grains that are tried, the finest first; each divides a chunk."""
ALONE = 0
"""Grain of a model whose bits depend on where in a batch a window stands: it is given one window at a time."""
PROBE_WINDOWS = 16
CALM_VOLATILITY = 0.25


def probe_windows(signature: "Signature", count: int) -> "NDArray[np.float32]":
    """Made-up model inputs: standard normal, every feature known, volatilities of 25 % a year.

    No forecast is made of them; they only show whether two computations are the same.
    """
    random = np.random.default_rng(0)
    values = random.standard_normal((count, signature.sessions, len(signature.features)))
    for index, feature in enumerate(signature.features):
        if feature.startswith("volatility"):
            values[..., index] = CALM_VOLATILITY
    return np.concatenate([values, np.ones_like(values)], axis=-1, dtype=np.float32, casting="same_kind")


def measure_grain(run: "Run", signature: "Signature") -> int:
    """Return the smallest grain whose multiples all give a window the same bits, wherever it stands; else `ALONE`.

    Parameters
    ----------
    run
        Computes a batch as it is.

    Raises
    ------
    EngineError
        If a window does not have the same bits twice even alone.
    """
    x = probe_windows(signature, PROBE_WINDOWS)
    for grain in GRAINS:
        if _is_steady(run, x, grain):
            return grain
    if _are_same(_one_by_one(run, x), _one_by_one(run, x)):
        return ALONE
    raise EngineError(
        f"Model '{signature.name}' does not answer twice with the same bits on this processor, so no forecast of it "
        "could be recomputed. Export and promote it again, or set QUANTLAKE_ENGINE_THREADS=1."
    )


def fill_up(x: "NDArray[np.float32]", grain: int) -> "NDArray[np.float32]":
    """Repeat the last window until the batch is a multiple of the grain."""
    surplus = -len(x) % grain
    return x if not surplus else np.concatenate([x, np.repeat(x[-1:], surplus, axis=0)])


def _one_by_one(run: "Run", x: "NDArray[np.float32]") -> "NDArray[np.float32]":
    return np.concatenate([run(window[None]) for window in x])


def _is_steady(run: "Run", x: "NDArray[np.float32]", grain: int) -> bool:
    """Whether every window of the probe has the same bits in batches of any multiple of the grain, in any order."""
    times = CHUNK_WINDOWS // len(x)
    expected = run(np.tile(x, (times, 1, 1)))
    first = expected[: len(x)]
    if not _are_same(np.concatenate([first] * times), expected):
        return False
    orders = (np.arange(len(x)), np.arange(len(x))[::-1])
    sizes = range(grain, len(x) + 1, grain)
    return all(_are_same(run(x[order[:size]]), first[order[:size]]) for size in sizes for order in orders)


def _are_same(first: "NDArray[np.float32]", other: "NDArray[np.float32]") -> bool:
    """Whether two answers are the same bit for bit; NaN equals NaN."""
    return first.shape == other.shape and first.tobytes() == other.tobytes()
