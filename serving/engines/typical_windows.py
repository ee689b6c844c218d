"""Choice of the typical windows of a training: for each regime the four medoids of its windows.

A medoid is a window of the market and no average, so that its features belong together; see
docs/adr/0045-backgrounds-lie-in-the-bundle.md.
"""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from serving.engines.background import ANY_REGIME, PERCENTS, TYPICAL_WINDOWS, Background, TypicalWindow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CANDIDATES = 600
"""Windows of one regime that medoids are chosen among, drawn without replacement: distances grow with their square."""
FARTHEST = 5.0
"""Standard deviations at which a feature of a description ends, so that one wild value does not decide a distance."""
ROUNDS = 50
SEED = 0


def choose_background(
    x: "NDArray[np.float32]", keys: pl.DataFrame, regimes: pl.DataFrame, features: "Sequence[str]"
) -> Background:
    """Choose the typical windows of each regime, and take the percentiles of each feature.

    The same training gives the same background to the last bit, whatever model it was for.

    Parameters
    ----------
    x
        ``[window, session, 2 * feature]``: training windows as the model takes them, values then mask.
    keys
        ``symbol, event_time`` of the last session of each, in the order of `x`.
    regimes
        ``event_time, regime`` of the market as known in training; windows of sessions without one count to none.
    features
        In the order of the input's channels.

    Returns
    -------
    Background
        With the regimes of which there are `TYPICAL_WINDOWS` windows or more, and `ANY_REGIME`.
    """
    count = len(features)
    known = x[..., count:] > 0
    values = np.where(known, x[..., :count], np.float32("nan"))
    described = _descriptions(values)
    named = keys.join(regimes.unique("event_time"), on="event_time", how="left", maintain_order="left")["regime"]
    places = {ANY_REGIME: np.arange(len(x))}
    places |= {name: np.flatnonzero((named == name).to_numpy()) for name in sorted(named.drop_nulls().unique())}
    random = np.random.default_rng(SEED)
    typical = {}
    for regime, rows in places.items():
        if len(rows) < TYPICAL_WINDOWS:
            continue
        drawn = np.sort(random.choice(rows, min(len(rows), CANDIDATES), replace=False))
        chosen = drawn[medoids(described[drawn], TYPICAL_WINDOWS)]
        typical[regime] = tuple(_window(values[row], keys.row(row, named=True)) for row in map(int, chosen))
    return Background(
        features=tuple(features),
        training_windows=len(x),
        typical=typical,
        percentiles={name: _percentiles(values[:, -1, place]) for place, name in enumerate(features)},
    )


def medoids(points: "NDArray[np.float64]", count: int) -> "NDArray[np.int64]":
    """Return the places of `count` points to which all others together are nearest, in rising order.

    Each is chosen where it lowers the sum of distances most (the start of PAM: Kaufman and Rousseeuw 1990, "Finding
    Groups in Data"), then replaced by the middle of the points that are nearest to it until nothing changes.

    Examples
    --------
    >>> medoids(np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]]), 2).tolist()
    [1, 4]
    """
    squares = (points**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0.0))
    nearest, chosen = np.full(len(points), np.inf), list[int]()
    for _ in range(count):
        costs = np.minimum(nearest[:, None], distances).sum(axis=0)
        costs[chosen] = np.inf
        chosen.append(int(costs.argmin()))
        nearest = np.minimum(nearest, distances[:, chosen[-1]])
    for _ in range(ROUNDS):
        owners = distances[:, chosen].argmin(axis=1)
        owners[chosen] = np.arange(count)  # of equal points each keeps its own
        groups = [np.flatnonzero(owners == place) for place in range(count)]
        middles = [int(group[distances[np.ix_(group, group)].sum(axis=0).argmin()]) for group in groups]
        if middles == chosen:
            break
        chosen = middles
    return np.sort(np.array(chosen))


def _descriptions(values: "NDArray[np.float32]") -> "NDArray[np.float64]":
    """Describe each window by the last value and the mean of each feature, in standard scores; 0 where unknown."""
    known = ~np.isnan(values)
    means = np.where(known, values, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    means[~known.any(axis=1)] = np.nan
    both = np.concatenate([values[:, -1], means], axis=1).astype(np.float64)  # [window, 2 * feature]
    held = np.ma.masked_invalid(both)
    spread = np.where(held.std(axis=0).filled(0.0) > 0, held.std(axis=0).filled(1.0), 1.0)
    scores = (both - held.mean(axis=0).filled(0.0)) / spread
    described: NDArray[np.float64] = np.clip(np.nan_to_num(scores), -FARTHEST, FARTHEST)
    return described


def _percentiles(last: "NDArray[np.float32]") -> tuple[float, ...]:
    known = last[~np.isnan(last)].astype(np.float64)
    found = np.percentile(known, PERCENTS) if len(known) else np.zeros(len(PERCENTS))
    return tuple(np.maximum.accumulate(found).tolist())


def _window(values: "NDArray[np.float32]", key: dict[str, object]) -> TypicalWindow:
    shortest = [[None if np.isnan(value) else float(str(value)) for value in row] for row in values]
    return TypicalWindow.model_validate({"symbol": key["symbol"], "as_of": key["event_time"], "values": shortest})
