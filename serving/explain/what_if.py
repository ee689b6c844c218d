"""Forecasts of changed inputs: named changes, a sweep along the training range, the smallest change that turns it."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from feature_repo.catalog import feature_of
from lake.errors import ImpossibleChangeError, UnknownNameError
from serving.api import outlook_of
from serving.api.explanations import FeatureSweep, ForecastRead, MovedFeature, SweepPoint
from serving.forecasts import confidence, direction_of, target_price, trust_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from feature_repo.targets import FloatArray
    from serving.api.explanations import At, Change
    from serving.engines import Background
    from serving.explain.remaking import RemadeForecast

GRID = 41
"""Values of a feature that a sweep and a search look at, from 1 % to 99 % of training."""


HELD = "All features but those that moved are held as they were, which a market may never do."
LARGEST = float(np.finfo(np.float32).max)
"""Largest amount that a model input can hold."""


class WhatIf(NamedTuple):
    """What came of a changed input.

    Parameters
    ----------
    forecast
        Whose input was changed.
    stored
        Its numbers as they were given.
    changed
        None for a sweep, and for a search that found nothing.
    is_found
        Whether a search found a change; None for another question.
    seconds
        That the computation took.
    note
        What was held as it was.
    """

    forecast: "RemadeForecast"
    stored: ForecastRead
    changed: ForecastRead | None = None
    moved: tuple[MovedFeature, ...] = ()
    is_found: bool | None = None
    sweeps: tuple[FeatureSweep, ...] = ()
    seconds: float = 0.0
    note: str = HELD


def with_changes(forecast: "RemadeForecast", changes: "Mapping[str, Change]", at: "At") -> WhatIf:
    """Forecast the window with other values of some features; a value that is the true one changes no bit.

    Parameters
    ----------
    at
        ``last``: the last session changes; ``window``: every session, by the same amount or to the same value.

    Raises
    ------
    UnknownNameError
        For a feature that is not in the window.
    ImpossibleChangeError
        For a value that the feature cannot have, or an amount added to a value that is not known.
    EngineError
        If an engine has no forecast for such an input.
    """
    window = forecast.inputs.window.copy()
    rows = slice(-1, None) if at == "last" else slice(None)
    for name, change in changes.items():
        place = _place_of(forecast, name)
        window[rows, place] = _changed(name, window[rows, place], change)
    quantiles = forecast.of_windows(window[None])[0]
    moved = tuple(moved_feature(forecast, name, window[rows, _place_of(forecast, name)]) for name in changes)
    return WhatIf(forecast, _stored(forecast), forecast_read(forecast, quantiles), moved)


def sweep(forecast: "RemadeForecast", features: "Sequence[str]", at: "At") -> WhatIf:
    """Forecast the window at 41 values of each feature, one feature at a time; see `_shifted` for the values.

    Raises
    ------
    UnknownNameError
        For a feature that is not in the window.
    """
    swept = _forecast_grid(forecast, features, at)
    background = forecast.models[0].require_background()
    found = []
    for name, (values, quantiles) in swept.items():
        (low, high), last = background.range_of(name), _last(forecast, name)
        points = [
            SweepPoint(to=value, **forecast_read(forecast, each).model_dump(exclude={"outlook"}))
            for value, each in zip(values.tolist(), quantiles, strict=True)
        ]
        percentile = None if last is None else background.percentile_of(name, last)
        found.append(FeatureSweep(feature=name, value=last, percentile=percentile, low=low, high=high, points=points))
    return WhatIf(forecast, _stored(forecast), sweeps=tuple(found))


def find_flip(forecast: "RemadeForecast", features: "Sequence[str]", at: "At") -> WhatIf:
    """Find the smallest change of one feature that turns the direction of a forecast, on the grid of `sweep`.

    Changes of different features are compared by how many percent of the training windows they pass. A feature whose
    last value is not known is left out.

    Raises
    ------
    UnknownNameError
        For a feature that is not in the window.
    """
    background, stored = forecast.models[0].require_background(), _stored(forecast)
    known = [name for name in features if _last(forecast, name) is not None]
    nearest: tuple[float, str, float, NDArray[np.float64]] | None = None
    for name, (values, quantiles) in _forecast_grid(forecast, known, at).items():
        before = background.percentile_of(name, _last(forecast, name) or 0.0)
        for value, each in zip(values.tolist(), quantiles, strict=True):
            passed = abs(background.percentile_of(name, value) - before)
            is_nearer = nearest is None or passed < nearest[0]
            if is_nearer and direction_of(float(each[1])) != stored.direction:
                nearest = passed, name, value, each
    if nearest is None:
        return WhatIf(forecast, stored, is_found=False)
    _, name, value, quantiles = nearest
    shifted = _shifted(forecast, name, value, at)
    rows = shifted[-1:] if at == "last" else shifted
    moved = moved_feature(forecast, name, rows[:, _place_of(forecast, name)])
    return WhatIf(forecast, stored, forecast_read(forecast, quantiles), (moved,), is_found=True)


def _forecast_grid(
    forecast: "RemadeForecast", features: "Sequence[str]", at: "At"
) -> "dict[str, tuple[NDArray[np.float32], NDArray[np.float64]]]":
    """By feature, the values of its grid and the forecasts there, ``[value, quantile]``; one engine call per model."""
    background = forecast.models[0].require_background()
    grids = {name: _grid(forecast, background, name) for name in features}
    if not grids:
        return {}
    windows = [_shifted(forecast, name, float(value), at) for name, grid in grids.items() for value in grid]
    quantiles = forecast.of_windows(np.stack(windows)).reshape(len(grids), GRID, -1)
    return {name: (grid, quantiles[number]) for number, (name, grid) in enumerate(grids.items())}


def _grid(forecast: "RemadeForecast", background: "Background", name: str) -> "NDArray[np.float32]":
    _place_of(forecast, name)  # one that is not in the window is refused before its range is looked for
    return np.linspace(*background.range_of(name), GRID, dtype=np.float32)


def _shifted(forecast: "RemadeForecast", name: str, value: float, at: "At") -> "FloatArray":
    """Return the window with another last value of a feature.

    At ``window`` the sessions before move by the same amount, within what training has seen; they take the value itself
    where the last one is not known.
    """
    window, place = forecast.inputs.window.copy(), _place_of(forecast, name)
    if at == "window":
        last = _last(forecast, name)
        held = forecast.models[0].require_background().percentiles[name]
        moved = value if last is None else np.clip(window[:, place] + np.float32(value - last), held[0], held[-1])
        window[:, place] = moved
    window[-1, place] = value
    return window


def _changed(name: str, values: "FloatArray", change: "Change") -> "FloatArray":
    """Return the values of a feature after a change.

    Raises
    ------
    ImpossibleChangeError
        If they cannot be.
    """
    if change.to is not None:
        found = np.full(len(values), change.to, np.float64)
    else:
        if np.isnan(values[-1]):
            raise ImpossibleChangeError(
                f"The value of '{name}' in the last session is not known, so nothing can be added to it. Say `to`, the "
                "new value, instead of `by`."
            )
        found = values.astype(np.float64) + (change.by or 0.0)
    _, feature = feature_of(name)
    least = -LARGEST if feature.minimum is None else feature.minimum
    most = LARGEST if feature.maximum is None else feature.maximum
    wrong = found[(found < least) | (found > most)]  # what is not known stays so
    if len(wrong):
        raise ImpossibleChangeError(
            f"'{name}' would be {wrong[0]:g}, and it lies between {least:g} and {most:g} ({feature.meaning}). Ask for "
            "a value in between."
        )
    return found.astype(np.float32)


def moved_feature(forecast: "RemadeForecast", name: str, values: "FloatArray") -> MovedFeature:
    """Describe a feature's new values, the last of them last."""
    background, before, after = forecast.models[0].require_background(), _last(forecast, name), float(values[-1])
    low, high = (np.float32(bound) for bound in background.range_of(name))
    known = values[~np.isnan(values)]
    return MovedFeature(
        feature=name,
        before=before,
        after=None if math.isnan(after) else after,
        percentile_before=None if before is None else background.percentile_of(name, before),
        percentile_after=None if math.isnan(after) else background.percentile_of(name, after),
        is_inside_range=bool(((known >= low) & (known <= high)).all()),
    )


def _place_of(forecast: "RemadeForecast", name: str) -> int:
    features = forecast.inputs.spec.features
    if name not in features:
        raise UnknownNameError("feature", name, features)
    return features.index(name)


def _last(forecast: "RemadeForecast", name: str) -> float | None:
    """Value of a feature in the last session; None where it is not known."""
    value = float(forecast.inputs.window[-1, _place_of(forecast, name)])
    return None if math.isnan(value) else value


def _stored(forecast: "RemadeForecast") -> ForecastRead:
    return forecast_read(forecast, forecast.stored)


def forecast_read(
    forecast: "RemadeForecast", quantiles: "NDArray[np.float64]", *, price_change: float = 0.0
) -> ForecastRead:
    """Return the numbers of a forecast as the endpoint gives them.

    Parameters
    ----------
    price_change
        Of the price that the returns start from, as a fraction of it.
    """
    p10, p50, p90 = quantiles.tolist()
    price = forecast.inputs.row["reference_price"]
    direction = direction_of(p50)
    sure = confidence(p10, p50, p90, trust=trust_of(forecast.inputs.calibration, forecast.horizon))
    return ForecastRead(
        p10=p10,
        p50=p50,
        p90=p90,
        target_price=target_price(None if price is None else price + price * price_change, p50),
        direction=direction,
        confidence=sure,
        outlook=outlook_of(direction, sure),
    )
