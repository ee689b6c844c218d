"""The matured sessions that importance is measured on: inputs as they were known at each close, and what came."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from feature_repo.online import BlendWeights, OnlineCalibration
from feature_repo.targets import FORECAST_V2
from lake.errors import NotReadyError
from lake.tables import BLEND_WEIGHTS, CALIBRATIONS
from serving.backfill import WalkForwardTables
from serving.forecasts import Calibration
from serving.outcomes import known_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from lake.clock import Clock
    from lake.store import Lake

SESSIONS = 250
"""Newest matured sessions that are measured."""


@dataclass(frozen=True)
class MaturedPanel:
    """Windows of matured sessions, in the order of their sessions, and what came of them.

    Parameters
    ----------
    keys
        ``symbol``, ``event_time``, ``regime``, one row per window.
    x
        ``[window, session, 2 * feature]``, as it was known when each close was decided.
    truth
        By horizon, ``[window]``: the return; NaN where it is not known yet.
    weights
        By horizon and model, ``[window]``: the weight in force in the blend; NaN before there was one.
    calibrations
        ``[window]``: the correction in force of the blend's band; None before there was one.
    versions
        Versions of the tables that were read, as JSON.
    """

    keys: pl.DataFrame
    x: "NDArray[np.float32]"
    truth: "Mapping[int, NDArray[np.float64]]"
    weights: "Mapping[int, Mapping[str, NDArray[np.float64]]]"
    calibrations: "Sequence[Calibration | None]"
    versions: str

    @cached_property
    def closes(self) -> pl.Series:
        """Closes of the sessions, ascending."""
        return self.keys["event_time"].unique().sort()

    @cached_property
    def session(self) -> "NDArray[np.int64]":
        """Number of the session of each window, its place in `closes`."""
        found: NDArray[np.int64] = self.closes.search_sorted(self.keys["event_time"]).to_numpy().astype(np.int64)
        return found

    @cached_property
    def regime(self) -> "NDArray[np.str_]":
        """Regime of the market at each window's close."""
        return self.keys["regime"].to_numpy().astype(np.str_)

    @property
    def last(self) -> "NDArray[np.float32]":
        """Values of the last session, ``[window, feature]``; NaN is not known."""
        values, known = np.split(self.x[:, -1], 2, axis=-1)
        return np.where(known > 0, values, np.float32("nan"))

    def is_measured(self, horizon: int, until: "datetime") -> "NDArray[np.bool_]":
        """Whether a window is of one of the newest matured sessions of a horizon, of those after an instant."""
        later = (self.keys["event_time"] > until).to_numpy()
        counts = later & ~np.isnan(self.truth[horizon])
        newest = np.unique(self.session[counts])[-SESSIONS:]
        return counts & np.isin(self.session, newest)


def matured_panel(lake: "Lake", clock: "Clock", until: "datetime") -> MaturedPanel:
    """Read the newest matured sessions after an instant, as known by the market's now.

    Every input of a session was known when its close was decided, and every outcome is known by now.

    Raises
    ------
    NotReadyError
        If no session after that instant has matured.
    """
    labels = known_labels(lake, clock).filter(pl.col("event_time") > until)
    horizons = [bars for bars in lake.market.horizon_bars if bars in set(labels["horizon_sessions"])]
    newest = {
        bars: labels.filter(pl.col("horizon_sessions") == bars)["event_time"].unique().sort() for bars in horizons
    }
    if not newest:
        raise NotReadyError(
            f"No session after {until:%Y-%m-%d}, up to which the models in service learnt, has matured yet, so it is "
            f"not known what their features are good for. `{lake.market.next_run}` lets the market go on."
        )
    sessions = pl.concat([closes.tail(SESSIONS) for closes in newest.values()]).unique().sort().to_list()
    tables = WalkForwardTables.of(lake, sessions, FORECAST_V2, delay=lake.market.decided_after)
    batches = list(tables.batches())
    keys = pl.concat([batch.keys.select("symbol", "event_time", "regime") for batch in batches])
    return MaturedPanel(
        keys=keys,
        x=np.concatenate([batch.inputs for batch in batches]),
        truth={bars: _returns(keys, labels, bars) for bars in horizons},
        weights=_weights(lake, clock, keys, horizons),
        calibrations=_calibrations(lake, clock, keys),
        versions=batches[0].versions,
    )


def _returns(keys: pl.DataFrame, labels: pl.DataFrame, horizon: int) -> "NDArray[np.float64]":
    of_horizon = labels.filter(pl.col("horizon_sessions") == horizon).select("symbol", "event_time", "forward_return")
    joined = keys.join(of_horizon, on=["symbol", "event_time"], how="left", maintain_order="left")
    return joined["forward_return"].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _weights(
    lake: "Lake", clock: "Clock", keys: pl.DataFrame, horizons: "Sequence[int]"
) -> "dict[int, dict[str, NDArray[np.float64]]]":
    """Weights in force at each window's close, by horizon and model; none for a horizon that was never weighed."""
    rows = lake.read_as_of(BLEND_WEIGHTS, clock.now()) if lake.exists(BLEND_WEIGHTS) else BLEND_WEIGHTS.empty()
    ordered = rows.sort("event_time")
    in_force = _in_force(keys, ordered)
    held = [BlendWeights.of(row) for row in ordered.to_dicts()]
    found: dict[int, dict[str, NDArray[np.float64]]] = {}
    for bars in horizons:
        by_row = [each.of_horizon(bars) for each in held]
        by_window = [by_row[place] if place >= 0 else {} for place in in_force]
        models = sorted({name for weights in by_window for name in weights})
        found[bars] = {
            name: np.array([weights.get(name, 0.0 if weights else np.nan) for weights in by_window]) for name in models
        }
    return found


def _calibrations(lake: "Lake", clock: "Clock", keys: pl.DataFrame) -> "list[Calibration | None]":
    rows = lake.read_as_of(CALIBRATIONS, clock.now()) if lake.exists(CALIBRATIONS) else CALIBRATIONS.empty()
    ordered = rows.sort("event_time")
    held = [OnlineCalibration.of(row) for row in ordered.to_dicts()]
    return [
        Calibration.of(held[place], regime) if place >= 0 else None
        for place, regime in zip(_in_force(keys, ordered), keys["regime"], strict=True)
    ]


def _in_force(keys: pl.DataFrame, ordered: pl.DataFrame) -> list[int]:
    """Place of the row in force at each window's close: the newest one learned by it; -1 before the first."""
    place = ordered["event_time"].search_sorted(keys["event_time"], side="right").cast(pl.Int64) - 1
    found: list[int] = place.to_list()
    return found
