"""Similar windows: past closes of a symbol with features like those of a forecast, and what followed them."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from lake.calendars import numbered_closes
from lake.errors import NotReadyError
from lake.horizon_ends import horizon_ends
from lake.tables import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lake.store import Lake
    from serving.explain.remaking import RemadeForecast

MOST_SIMILAR = 5
WHOLE_SCALE = 100.0
"""Distance of a feature that is known in one of two windows alone, in percentile points."""


@dataclass(frozen=True)
class SimilarWindow:
    """A past window of the symbol of a forecast.

    Parameters
    ----------
    as_of
        Close of its last session.
    distance
        Root mean square over the features of the distance of their last values, in percentile points of training.
    outcome
        Return over the horizon of the forecast that followed, as a fraction.
    """

    as_of: datetime
    distance: float
    outcome: float


def similar_windows(forecast: "RemadeForecast", lake: "Lake") -> tuple[SimilarWindow, ...]:
    """Find the past windows of the symbol that are nearest to a forecast's, with outcomes that were known to it.

    Compared are the features of the last session, each by its percentile in the training of the first model. A window
    counts only if its features and its outcome were known when the forecast was made. No horizon of two of them
    overlaps, and none reaches beyond the close of the forecast, so that no price move is told twice.

    Returns
    -------
    tuple of SimilarWindow
        `MOST_SIMILAR` at most, the nearest first.

    Raises
    ------
    NotReadyError
        If no past window has an outcome that was known, or a model was exported without typical windows.
    """
    past = _past_of(forecast, lake)
    if past.is_empty():
        raise NotReadyError(
            f"No past window of {forecast.inputs.row['symbol']} has an outcome over this horizon that was known when "
            "the forecast was made. Ask again about a forecast of a later session."
        )
    features = list(forecast.inputs.spec.features)
    distances = distances_of(
        _percentiles(forecast, past.select(features).cast(pl.Float32).to_numpy()),
        _percentiles(forecast, forecast.inputs.window[-1:]),
    )
    starts, ends = past["event_time"].to_list(), past["end"].to_list()
    outcomes = past["forward_return"].to_list()
    return tuple(
        SimilarWindow(starts[place], float(distances[place]), outcomes[place])
        for place in apart(np.argsort(distances, kind="stable").tolist(), starts, ends)
    )


def distances_of(windows: "NDArray[np.float64]", asked: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return the root mean square distance of windows ``[window, feature]`` from the asked one ``[1, feature]``.

    A feature that is not known in either adds nothing; one that is known in one alone counts as `WHOLE_SCALE` away.

    Examples
    --------
    >>> windows = np.array([[10.0, 50.0], [14.0, np.nan]])
    >>> distances_of(windows, np.array([[13.0, 54.0]])).round(3).tolist()
    [3.536, 70.714]
    """
    lacks, asked_lacks = np.isnan(windows), np.isnan(asked)
    gaps = np.where(lacks | asked_lacks, np.where(lacks == asked_lacks, 0.0, WHOLE_SCALE), windows - asked)
    distances: NDArray[np.float64] = np.sqrt(np.mean(gaps**2, axis=1))
    return distances


def apart(nearest: "Sequence[int]", starts: "Sequence[datetime]", ends: "Sequence[datetime]") -> list[int]:
    """Choose up to `MOST_SIMILAR` places in order; one whose horizon overlaps with that of a chosen one is left out.

    Parameters
    ----------
    nearest
        Places in order of preference.
    starts, ends
        By place, the close at which the horizon begins, and the one at which it ends.
    """
    chosen = list[int]()
    for place in nearest:
        if all(ends[place] <= starts[other] or ends[other] <= starts[place] for other in chosen):
            chosen.append(place)
        if len(chosen) == MOST_SIMILAR:
            break
    return chosen


def _past_of(forecast: "RemadeForecast", lake: "Lake") -> pl.DataFrame:
    """Return features, outcome and end of the horizon by past close, of those that were known to the forecast."""
    row, known = forecast.inputs.row, forecast.inputs.row["known_time"]
    is_past = (pl.col("symbol") == row["symbol"]) & (pl.col("event_time") < row["event_time"])
    features = lake.read_as_of(FEATURES_TECHNICAL, known, where=is_past)
    followed = lake.read_as_of(LABELS, known, where=is_past & (pl.col("horizon_sessions") == forecast.horizon))
    closes = numbered_closes(features["event_time"].min(), row["event_time"], lake.market.grid)["event_time"]
    ends = pl.DataFrame({"event_time": closes, "end": horizon_ends(closes, forecast.horizon, lake.market.grid)})
    joined = features.join(followed.select("event_time", "forward_return"), on="event_time").join(ends, on="event_time")
    return joined.filter(pl.col("end") <= row["event_time"]).sort("event_time")


def _percentiles(forecast: "RemadeForecast", values: "NDArray[np.float32]") -> "NDArray[np.float64]":
    """Return values ``[window, feature]`` as percentiles of training, see `Background.percentiles_of`."""
    background = forecast.models[0].require_background()
    features = forecast.inputs.spec.features
    columns = [background.percentiles_of(name, values[:, place]) for place, name in enumerate(features)]
    return np.stack(columns, axis=1)
