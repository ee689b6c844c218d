"""Time rivals side by side."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def timed(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleave(rivals: Mapping[str, Callable[[], Any]], repetitions: int = 5) -> dict[str, list[float]]:
    """Run the rivals in turn, so that a busy neighbour meets all of them.

    Returns
    -------
    dict[str, list[float]]
        Seconds of each repetition, by rival. What runs cold must have run before.
    """
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(repetitions):
        for name, run in rivals.items():
            seconds[name].append(timed(run))
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Middle time of each rival."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def milliseconds(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Middle time of each rival in milliseconds."""
    return {name: 1e3 * middle for name, middle in medians(seconds).items()}
