"""Bar scenario: another last bar, from which the feature kernels compute every feature of the last session again."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from feature_repo.catalog import feature_of
from feature_repo.compute import BAR_COLUMNS, IS_ASKED
from feature_repo.engines import compute_group, stored_fits
from lake.errors import ImpossibleChangeError, NotReadyError
from serving.explain.what_if import WhatIf, forecast_read, moved_feature
from serving.replay import bars_of

if TYPE_CHECKING:
    from feature_repo.targets import FloatArray
    from lake.store import Lake
    from serving.api.explanations import BarChange
    from serving.explain.remaking import RemadeForecast

RECOMPUTED = (
    "All features of the last session are computed again from the changed bar by the kernels of the pipeline. Earlier "
    "bars, those of the index, and the regime are as they were."
)
SAME = 1e-5
"""Relative difference up to which a feature computed again is the stored one: a window holds float32."""


def with_bar(forecast: "RemadeForecast", lake: "Lake", change: "BarChange") -> WhatIf:
    """Forecast from another last bar; the true bar, ``BarChange()``, changes no bit.

    The bars are read at the table versions of the forecast's receipt, as they were known then. A feature that comes out
    as it does from the true bar keeps its stored value.

    Raises
    ------
    ImpossibleChangeError
        If the bar cannot be, or lacks what is to change.
    NotReadyError
        If the true bar does not give the stored features any more, as after a change of the kernels.
    DamagedTableError
        If the bars cannot be read any more.
    EngineError
        If an engine has no forecast for such an input.
    """
    bars, window = bars_of(lake, forecast.inputs), forecast.inputs.window.copy()
    true = _last_features(forecast, lake, bars)
    _require_stored(forecast, true)
    changed = _last_features(forecast, lake, _with_last_bar(bars, forecast, change))
    has_moved = (changed != true) & ~(np.isnan(changed) & np.isnan(true))
    window[-1, has_moved] = changed[has_moved]
    moved = [
        moved_feature(forecast, name, window[-1:, place])
        for place, name in enumerate(forecast.inputs.spec.features)
        if has_moved[place]
    ]
    return WhatIf(
        forecast,
        forecast_read(forecast, forecast.stored),
        forecast_read(forecast, forecast.of_windows(window[None])[0], price_change=change.close_change),
        tuple(moved),
        note=RECOMPUTED,
    )


def changed_bar(bar: "dict[str, Any]", change: "BarChange") -> "dict[str, Any]":
    """Return a bar with another close, volume and range.

    The open stays. High and low keep their distance from the body of open and close, and the range widens or narrows on
    both sides alike, to the body at least.

    Raises
    ------
    ImpossibleChangeError
        If a price would not be above zero, or the bar has no volume or no range that could change.

    Examples
    --------
    >>> from serving.api.explanations import BarChange
    >>> bar = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 50.0}
    >>> changed_bar(bar, BarChange(close_change=-0.5, volume_ratio=2.0))
    {'open': 10.0, 'high': 11.0, 'low': 4.5, 'close': 5.5, 'volume': 100.0}
    """
    found = dict(bar)
    for name in ("close", "close_unadjusted"):
        if bar.get(name) is not None:
            found[name] = bar[name] + bar[name] * change.close_change
    for name in ("volume", "volume_unadjusted"):
        if bar.get(name) is not None:
            found[name] = bar[name] * change.volume_ratio
    if bar["volume"] is None and change.volume_ratio != 1:
        raise ImpossibleChangeError("The last bar has no volume that could change. Leave volume_ratio out.")
    if any(bar[name] is None for name in ("open", "high", "low")):
        if change.range_ratio != 1:
            raise ImpossibleChangeError("The last bar has no high and low that could change. Leave range_ratio out.")
        return found
    widened = (change.range_ratio - 1) * (bar["high"] - bar["low"]) / 2
    tops, bottoms = ([end(each["open"], each["close"]) for each in (bar, found)] for end in (max, min))
    found["high"] = max(bar["high"] + (tops[1] - tops[0]) + widened, tops[1])
    found["low"] = min(bar["low"] + (bottoms[1] - bottoms[0]) - widened, bottoms[1])
    if found["low"] <= 0:
        raise ImpossibleChangeError(
            f"The low of the last bar would be {found['low']:g}, and a price lies above zero. Ask for a smaller "
            "range_ratio, or a smaller fall of the close."
        )
    return found


def _with_last_bar(bars: pl.DataFrame, forecast: "RemadeForecast", change: "BarChange") -> pl.DataFrame:
    """Put the changed bar in the place of the symbol's last one."""
    is_last = _is_last(forecast)
    bar = changed_bar(bars.row(by_predicate=is_last, named=True), change)
    names = [name for name in BAR_COLUMNS if name in bars.columns]
    return bars.with_columns(
        pl.when(is_last).then(pl.lit(bar[name], pl.Float64)).otherwise(pl.col(name)).alias(name) for name in names
    )


def _last_features(forecast: "RemadeForecast", lake: "Lake", bars: pl.DataFrame) -> "FloatArray":
    """Return the features of the last session, float32 in the order of the window; NaN is not known."""
    is_last = _is_last(forecast)
    features = [feature_of(name)[1] for name in forecast.inputs.spec.features]
    asked = bars.with_columns(is_last.cast(pl.Float64).alias(IS_ASKED))
    rows = compute_group(asked, features, market=lake.market, fits=stored_fits(lake))
    last = rows.row(by_predicate=is_last, named=True)
    return np.array([last[name] for name in forecast.inputs.spec.features], np.float32)


def _is_last(forecast: "RemadeForecast") -> pl.Expr:
    symbol, close = (pl.lit(forecast.inputs.row[name]) for name in ("symbol", "event_time"))
    return (pl.col("symbol") == symbol) & (pl.col("event_time") == close)


def _require_stored(forecast: "RemadeForecast", found: "FloatArray") -> None:
    """Refuse features that are not those of the window."""
    stored = forecast.inputs.window[-1]
    differs = ~np.isclose(found, stored, rtol=SAME, atol=SAME * 1e-3, equal_nan=True)
    if differs.any():
        place = int(differs.argmax())
        raise NotReadyError(
            f"The features of forecast {forecast.inputs.row['forecast_id']} cannot be computed again: "
            f"'{forecast.inputs.spec.features[place]}' comes out as {found[place]:g}, and {stored[place]:g} was "
            "forecast from. Its bars or the kernels are others now; ask about a newer forecast."
        )
