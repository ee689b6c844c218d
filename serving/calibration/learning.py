"""What would have been served at each close, what came of it, and the corrections that follow: the lake's side."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from feature_repo.targets.labels import HORIZONS
from lake.clock import Clock
from lake.errors import NotReadyError
from lake.report import Report
from lake.store import Lake
from lake.tables import CALIBRATIONS, FORECASTS, SELECTIONS
from lake.universe import MARKET
from serving.calibration.conformal import ForecastPanel, Tracked, TrackingRule, track
from serving.calibration.picture import draw
from serving.forecasts import WEIGHT_TOLERANCE, widened
from serving.outcomes import known_labels
from serving.strategies import KNOWN_REGIMES, STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUANTILES = ("p10", "p50", "p90")
KEY = ("symbol", "event_time", "horizon_sessions")


@dataclass(frozen=True)
class Lived:
    """One horizon, lived through: its panel, what was in force at each close, and the rows behind the panel.

    Parameters
    ----------
    rows
        ``symbol``, ``event_time``, ``regime``, ``p10``, ``p50``, ``p90`` (before calibration) and ``realised_return``
        (null while open), in the order of the panel.
    """

    panel: ForecastPanel
    tracked: Tracked
    rows: pl.DataFrame

    def calibrated(self) -> np.ndarray:
        """Quantiles as they would have been answered at each close ``[row, quantile]``."""
        session = self.panel.session
        return widened(self.panel.quantiles, self.tracked.factors[session, self.panel.regime[session]])


def update_calibrations(
    lake: Lake, clock: Clock, rule: TrackingRule | None = None, *, picture: "Path | None" = None
) -> Report:
    """Append the correction in force from each close on, up to the newest that was forecast.

    They are worked out from the replayed forecasts, the strategy weights in force at each close and the outcomes known
    by each close, so that living through history day by day appends the same rows as one jump.

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
        If no forecast was replayed, or no strategy selected.
    """
    started = time.perf_counter()
    lived = live_through(lake, clock, rule)
    rows = calibration_rows(lived)
    if lake.exists(CALIBRATIONS):
        rows = rows.join(lake.read(CALIBRATIONS).select(CALIBRATIONS.key), on=list(CALIBRATIONS.key), how="anti")
    report = lake.merge(CALIBRATIONS, rows).having(seconds=time.perf_counter() - started)
    if report.skipped:
        return report.having(reason="every close that was forecast has its calibration")
    said = report.having(coverage=coverage_of(lived).to_dicts())
    return said if picture is None else said.having(picture=draw(lived, picture))


def live_through(lake: Lake, clock: Clock, rule: TrackingRule | None = None) -> "Sequence[Lived]":
    """Live through every close with a replayed forecast; one value per horizon. For the errors see above."""
    now = clock.now()
    if not lake.exists(FORECASTS) or not lake.exists(SELECTIONS):
        raise NotReadyError("Nothing can be calibrated yet. Replay forecasts and update `selections` first.")
    blends = blend_replayed(
        lake.read_as_of(FORECASTS, now, where=pl.col("kind") == "replay"), lake.read_as_of(SELECTIONS, now)
    )
    if blends.is_empty():
        raise NotReadyError(
            "No close has a replayed forecast of every model that its strategies read. Replay them by `make demo`."
        )
    return live(blends, known_labels(lake, clock), rule)


def blend_replayed(forecasts: pl.DataFrame, selections: pl.DataFrame) -> pl.DataFrame:
    """Blend backfilled forecasts by the strategy weights in force at their close, as `serving.forecasts.blending` does.

    Parameters
    ----------
    forecasts
        Replayed rows of `forecasts`. Of several by one model for one key the first counts.
    selections
        Rows of `selections`; in force at a close is the newest decision for its regime.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``event_time``, ``horizon_sessions``, ``regime`` and the quantiles, in order of time; only where
        every model with a weight made a forecast.
    """
    said = forecasts.sort("made_at", maintain_order=True).unique([*KEY, "model_name"], keep="first")
    closes = said.select("regime", "event_time").unique().sort("event_time")
    in_force = closes.join_asof(
        selections.select("regime", "event_time", "strategies", "weights").sort("event_time"),
        on="event_time",
        by="regime",
        strategy="backward",
        check_sortedness=False,
    ).drop_nulls()
    model = pl.col("strategies").replace_strict({strategy.name: strategy.model for strategy in STRATEGIES})
    weights = (
        in_force.explode("strategies", "weights", empty_as_null=True)
        .group_by("regime", "event_time", model.alias("model_name"))
        .agg(pl.col("weights").sum().alias("weight"))
    )
    weighted = said.join(weights, on=["regime", "event_time", "model_name"])
    blends = (
        weighted.sort(*KEY, "model_name")
        .group_by([*KEY, "regime"], maintain_order=True)
        .agg(*((pl.col(name) * pl.col("weight")).sum() for name in QUANTILES), pl.col("weight").sum())
    )
    is_whole = (pl.col("weight") - 1.0).abs() <= WEIGHT_TOLERANCE
    return blends.filter(is_whole).drop("weight").sort("event_time", "symbol", "horizon_sessions")


def live(blends: pl.DataFrame, labels: pl.DataFrame, rule: TrackingRule | None = None) -> "Sequence[Lived]":
    """Live through blended forecasts.

    Parameters
    ----------
    blends
        As `blend_replayed` returns them.
    labels
        Known rows of `labels`, one per key.
    """
    closes = blends["event_time"].unique().sort()
    regimes = blends.unique("event_time").sort("event_time")["regime"]
    number = {name: place for place, name in enumerate(KNOWN_REGIMES)}
    truth = labels.select(*KEY, pl.col("forward_return").alias("realised_return"), pl.col("known_time").alias("known"))
    joined = blends.join(truth, on=list(KEY), how="left", maintain_order="left")
    found = []
    for horizon in HORIZONS:
        rows = joined.filter(pl.col("horizon_sessions") == horizon)
        panel = ForecastPanel(
            horizon=horizon,
            closes=closes.to_list(),
            regime=regimes.replace_strict(number, return_dtype=pl.Int64).to_numpy(),
            session=_places(closes, rows["event_time"]),
            quantiles=rows.select(QUANTILES).to_numpy(),
            realised=rows["realised_return"].fill_null(float("nan")).to_numpy(),
            known=_places(closes, rows["known"].fill_null(datetime.max.replace(tzinfo=closes[0].tzinfo))),
        )
        found.append(Lived(panel, track(panel, len(KNOWN_REGIMES), rule), rows.drop("horizon_sessions", "known")))
    return found


def calibration_rows(lived: "Sequence[Lived]") -> pl.DataFrame:
    """One row of `calibrations` per close, with an entry per regime and horizon."""
    closes = lived[0].panel.closes
    entries = [(regime, one) for regime in range(len(KNOWN_REGIMES)) for one in lived]
    lists = {
        "lower": np.stack([one.tracked.factors[:, regime, 0] for regime, one in entries], axis=1),
        "upper": np.stack([one.tracked.factors[:, regime, 1] for regime, one in entries], axis=1),
        "trust": np.stack([one.tracked.trust for _, one in entries], axis=1),
        "sessions": np.stack([one.tracked.seen[:, regime] for regime, one in entries], axis=1),
    }
    names, horizons = [KNOWN_REGIMES[regime] for regime, _ in entries], [one.panel.horizon for _, one in entries]
    columns = {
        "market": [MARKET] * len(closes),
        "event_time": list(closes),
        "known_time": list(closes),
        "regimes": [names] * len(closes),
        "horizons": [horizons] * len(closes),
        **{name: values.tolist() for name, values in lists.items()},
    }
    return pl.DataFrame(columns, schema=CALIBRATIONS.schema)


def coverage_of(lived: "Sequence[Lived]") -> pl.DataFrame:
    """Share of outcomes within the band before and after calibration, by horizon and regime.

    Returns
    -------
    pl.DataFrame
        ``horizon_sessions``, ``regime``, ``sessions``, ``forecasts``, ``coverage_before``, ``coverage``; a regime
        without an outcome has no row.
    """
    frames = []
    for one in lived:
        realised, said = one.panel.realised, one.calibrated()
        judged = one.rows.select("event_time", "regime").with_columns(
            pl.lit(one.panel.horizon).alias("horizon_sessions"),
            pl.Series("is_known", ~np.isnan(realised)),
            pl.Series("before", _is_within(realised, one.panel.quantiles)),
            pl.Series("after", _is_within(realised, said)),
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


def _places(closes: pl.Series, instants: pl.Series) -> np.ndarray:
    """Place of the first close at or after each instant; the number of closes where there is none."""
    return np.searchsorted(closes.to_numpy(), instants.to_numpy(), side="left").astype(np.int64)
