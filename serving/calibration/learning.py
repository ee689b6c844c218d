"""Walk-forward simulation of calibration: what each close would have served, and the corrections that follow."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from lake.clock import Clock
from lake.errors import NotReadyError
from lake.horizon_ends import bars_spanned
from lake.market import DEMO, Market
from lake.report import Report
from lake.store import Lake
from lake.tables import BLEND_WEIGHTS, CALIBRATIONS
from serving.calibration.conformal import ForecastPanel, TrackingRule, track
from serving.calibration.picture import draw
from serving.calibration.simulation import WalkForwardSimulation
from serving.forecasts import QUANTILES, blend_replayed
from serving.outcomes import first_close_by, first_replays, known_labels
from serving.strategies import KNOWN_REGIMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEY = ("symbol", "event_time", "horizon_sessions")
NEVER = datetime.max.replace(tzinfo=UTC)


def update_calibrations(
    lake: Lake, clock: Clock, rule: TrackingRule | None = None, *, picture: "Path | None" = None
) -> Report:
    """Append the correction in force from each close on, up to the newest that was forecast.

    They are worked out from the replayed forecasts, the weights of models in force at each close and the outcomes known
    by each close, so that a day-by-day walk through history appends the same rows as one call.

    Parameters
    ----------
    picture
        Where coverage over time is drawn; nowhere by default.

    Returns
    -------
    Report
        Of `calibrations`; skipped when every close that was forecast has its row. ``details`` hold the coverage by
        regime and horizon of the calibrated forecasts, each with the correction in force when it was made.

    Raises
    ------
    NotReadyError
        If no forecast was replayed, or no weights of models are known.
    """
    started = time.perf_counter()
    simulations = simulate_walk_forward(lake, clock, rule)
    rows = calibration_rows(simulations, lake.market)
    report = lake.merge_unstored(CALIBRATIONS, rows).with_details(seconds=time.perf_counter() - started)
    if report.skipped:
        return report.with_details(reason="every close that was forecast has its calibration")
    report = report.with_details(coverage=coverage_of(simulations).to_dicts())
    return report if picture is None else report.with_details(picture=draw(simulations, picture, lake.market))


def simulate_walk_forward(
    lake: Lake, clock: Clock, rule: TrackingRule | None = None
) -> "Sequence[WalkForwardSimulation]":
    """Simulate every close with a replayed forecast, one simulation per horizon; errors as `update_calibrations`."""
    if not lake.exists(BLEND_WEIGHTS):
        raise NotReadyError("Nothing can be calibrated yet. Replay forecasts and update `blend_weights` first.")
    blends = blend_replayed(first_replays(lake, clock), lake.read_as_of(BLEND_WEIGHTS, clock.now())).drop("known_time")
    if blends.is_empty():
        raise NotReadyError(
            "No close has a replayed forecast of every model that has a weight. Replay them by "
            f"`{lake.market.first_run}`."
        )
    return simulate(blends, known_labels(lake, clock), rule, market=lake.market)


def simulate(
    blends: pl.DataFrame, labels: pl.DataFrame, rule: TrackingRule | None = None, *, market: Market = DEMO
) -> "Sequence[WalkForwardSimulation]":
    """Simulate blended forecasts close by close.

    Parameters
    ----------
    blends
        As `serving.forecasts.blend_replayed` returns them; ``known_time`` is not read.
    labels
        Known rows of `labels`, one per key.
    market
        Says how far ahead is forecast, and the time from each close to its decisions: what is known by then is learned
        from.
    """
    closes = blends["event_time"].unique().sort()
    regimes = blends.unique("event_time").sort("event_time")["regime"]
    number = {name: place for place, name in enumerate(KNOWN_REGIMES)}
    truth = labels.select(*KEY, pl.col("forward_return").alias("realised_return"), pl.col("known_time").alias("known"))
    joined = blends.join(truth, on=list(KEY), how="left", maintain_order="left")
    found = []
    for horizon in market.horizon_bars:
        rows = joined.filter(pl.col("horizon_sessions") == horizon)
        panel = ForecastPanel(
            horizon=horizon,
            closes=closes.to_list(),
            regime=regimes.replace_strict(number, return_dtype=pl.Int64).to_numpy(),
            session=first_close_by(closes, rows["event_time"]),
            quantiles=rows.select(QUANTILES).to_numpy(),
            realised=rows["realised_return"].fill_null(float("nan")).to_numpy(),
            known=first_close_by(closes + market.decided_after, rows["known"].fill_null(NEVER)),
            bars=bars_spanned(horizon, market.grid).most,
        )
        found.append(
            WalkForwardSimulation(panel, track(panel, len(KNOWN_REGIMES), rule), rows.drop("horizon_sessions", "known"))
        )
    return found


def calibration_rows(simulations: "Sequence[WalkForwardSimulation]", market: Market) -> pl.DataFrame:
    """One row of `calibrations` per close, with an entry per regime and horizon."""
    closes = simulations[0].panel.closes
    entries = [(regime, each) for regime in range(len(KNOWN_REGIMES)) for each in simulations]
    lists = {
        "lower": np.stack([each.tracked.factors[:, regime, 0] for regime, each in entries], axis=1),
        "upper": np.stack([each.tracked.factors[:, regime, 1] for regime, each in entries], axis=1),
        "trust": np.stack([each.tracked.trust for _, each in entries], axis=1),
        "sessions": np.stack([each.tracked.seen[:, regime] for regime, each in entries], axis=1),
    }
    names, horizons = [KNOWN_REGIMES[regime] for regime, _ in entries], [each.panel.horizon for _, each in entries]
    columns = {
        "market": [market.index] * len(closes),
        "event_time": list(closes),
        "known_time": [close + market.decided_after for close in closes],
        "regimes": [names] * len(closes),
        "horizons": [horizons] * len(closes),
        **{name: values.tolist() for name, values in lists.items()},
    }
    return pl.DataFrame(columns, schema=CALIBRATIONS.schema)


def coverage_of(simulations: "Sequence[WalkForwardSimulation]") -> pl.DataFrame:
    """Share of outcomes within the band before and after calibration, by horizon and regime.

    Returns
    -------
    pl.DataFrame
        ``horizon_sessions``, ``regime``, ``sessions``, ``forecasts``, ``coverage_before``, ``coverage``; a regime
        without an outcome has no row.
    """
    frames = []
    for simulation in simulations:
        realised, calibrated = simulation.panel.realised, simulation.calibrated()
        judged = simulation.rows.select("event_time", "regime").with_columns(
            pl.lit(simulation.panel.horizon).alias("horizon_sessions"),
            pl.Series("is_known", ~np.isnan(realised)),
            pl.Series("before", _is_within(realised, simulation.panel.quantiles)),
            pl.Series("after", _is_within(realised, calibrated)),
        )
        frames.append(
            judged.filter("is_known")
            .group_by("horizon_sessions", "regime")
            .agg(
                pl.col("event_time").n_unique().alias("sessions"),
                pl.len().alias("forecasts"),
                pl.col("before").mean().alias("coverage_before"),
                pl.col("after").mean().alias("coverage"),
            )
        )
    return pl.concat(frames).sort("horizon_sessions", "regime")


def _is_within(realised: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    return (quantiles[:, 0] <= realised) & (realised <= quantiles[:, 2])
