"""Outcomes of matured forecasts, exactly one each, and paper returns of every strategy."""

import time

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.clock import Clock
from lake.errors import ConflictError
from lake.report import Report
from lake.store import Lake
from lake.tables import FORECASTS, LABELS, OUTCOMES, REGIMES, STRATEGY_RETURNS
from serving.forecasts import REPLAY
from serving.strategies import FORECAST_HORIZON, STRATEGIES, net_returns, positions

QUANTILE_COLUMNS = {0.1: "p10", 0.5: "p50", 0.9: "p90"}


def mature(lake: Lake, clock: Clock) -> Report:
    """Write one outcome for each forecast, replayed or served, whose horizon has passed by the market's now.

    Returns
    -------
    Report
        Of `outcomes`; skipped when no further forecast has matured. ``details["waiting"]`` counts forecasts whose
        horizon is still open.
    """
    started = time.perf_counter()
    forecasts = lake.read_as_of(FORECASTS, clock.now())
    if lake.exists(OUTCOMES):
        forecasts = forecasts.join(lake.read(OUTCOMES).select("forecast_id"), on="forecast_id", how="anti")
    matured = outcomes_of(forecasts, known_labels(lake, clock))
    report = lake.merge(OUTCOMES, matured)
    waiting = forecasts.height - matured.height
    report = report.with_details(seconds=time.perf_counter() - started, waiting=waiting)
    return report.with_details(reason="no further forecast has matured") if report.skipped else report


def outcomes_of(forecasts: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Compare forecasts with their labels; a forecast whose label is not among `labels` gets no row.

    Parameters
    ----------
    forecasts
        Rows of `forecasts`.
    labels
        Rows of `labels` that are known, one per key.

    Returns
    -------
    pl.DataFrame
        Rows of `outcomes`. ``error`` is p50 - realised return. ``pinball_loss`` is the mean over the three quantiles
        of ``max(q (y - f), (q - 1) (y - f))`` (Koenker and Bassett 1978). ``is_direction_hit`` is null where p50 is
        zero, which says nothing about the direction; a return of exactly zero is a miss.
    """
    truth = labels.select(
        "symbol", "event_time", "horizon_sessions", "forward_return", pl.col("known_time").alias("end")
    )
    joined = forecasts.join(truth, on=["symbol", "event_time", "horizon_sessions"], how="inner")
    realised = pl.col("forward_return")
    return joined.select(
        "forecast_id",
        pl.col("end").alias("event_time"),
        pl.col("end").alias("known_time"),
        realised.alias("realised_return"),
        (pl.col("p50") - realised).alias("error"),
        pinball_loss().alias("pinball_loss"),
        realised.is_between(pl.col("p10"), pl.col("p90")).alias("is_covered"),
        pl.when(pl.col("p50") != 0).then(pl.col("p50").sign() == realised.sign()).alias("is_direction_hit"),
    ).select(OUTCOMES.names)


def update_strategy_returns(lake: Lake, clock: Clock) -> Report:
    """Write what every declared strategy earned in each session whose return has become known.

    Strategies trade on the replayed forecasts, which exist for every model, symbol and session, so that all of them are
    judged on the same ground.

    Returns
    -------
    Report
        Of `strategy_returns`; skipped when no further session has settled. ``warnings`` name strategies that have no
        forecast to trade on.
    """
    started = time.perf_counter()
    replayed = lake.read_as_of(FORECASTS, clock.now(), where=pl.col("kind") == REPLAY)
    labels = known_labels(lake, clock).filter(pl.col("horizon_sessions") == FORECAST_HORIZON)
    regimes = lake.read_as_of(REGIMES, clock.now()).select("event_time", "regime")
    earned = paper_returns(replayed, labels, regimes)
    report = lake.merge_unstored(STRATEGY_RETURNS, earned)
    models = set(replayed["model_name"].unique())
    idle = [strategy.name for strategy in STRATEGIES if strategy.model not in models]
    warnings = (f"No replayed forecast for the strategies {', '.join(idle)}; they earn nothing.",) if idle else ()
    report = report.with_details(seconds=time.perf_counter() - started, warnings=warnings)
    return report.with_details(reason="no further session has settled") if report.skipped else report


def paper_returns(forecasts: pl.DataFrame, labels: pl.DataFrame, regimes: pl.DataFrame) -> pl.DataFrame:
    """Run the whole pool on paper.

    Parameters
    ----------
    forecasts
        Replayed rows of `forecasts`.
    labels
        One-session rows of `labels`, known ones only.
    regimes
        ``event_time`` and ``regime``; the regime known at the close at which a position is taken. A session without one
        is left out.

    Returns
    -------
    pl.DataFrame
        Rows of `strategy_returns`, in the order of the pool and of time.

    Raises
    ------
    ConflictError
        If a label has another horizon: positions are revised every session, so its returns would overlap.
    """
    other = labels.filter(pl.col("horizon_sessions") != FORECAST_HORIZON)["horizon_sessions"].unique().sort().to_list()
    if other:
        raise ConflictError(
            f"Paper returns cannot be made from labels of {other} sessions: positions are revised every session, and "
            f"such returns overlap. Expected labels of {FORECAST_HORIZON} session only; filter by `horizon_sessions`."
        )
    frames = [STRATEGY_RETURNS.empty()]
    for strategy in STRATEGIES:
        held = positions(strategy, forecasts)
        earned = net_returns(held, labels).join(regimes, on="event_time", how="inner", maintain_order="left")
        frames.append(earned.with_columns(pl.lit(strategy.name).alias("strategy")).select(STRATEGY_RETURNS.names))
    return pl.concat(frames)


def known_labels(lake: Lake, clock: Clock) -> pl.DataFrame:
    """Return each label as it was first known, one row per key, those known by now.

    A label restated later does not change what a forecast was judged by, so living through history day by day and in
    one jump give the same outcomes.
    """
    known = lake.read(LABELS, where=pl.col("known_time") <= clock.now())
    return known.sort("known_time", maintain_order=True).unique(list(LABELS.key), keep="first", maintain_order=True)


def first_replays(lake: Lake, clock: Clock) -> pl.DataFrame:
    """Return the replayed forecasts known by now; of several by one model for one key, the one that was made first."""
    if not lake.exists(FORECASTS):
        return FORECASTS.empty()
    replays = lake.read_as_of(FORECASTS, clock.now(), where=pl.col("kind") == REPLAY)
    key = ["symbol", "event_time", "horizon_sessions", "model_name"]
    return replays.sort("made_at", maintain_order=True).unique(key, keep="first", maintain_order=True)


def first_close_by(closes: pl.Series, instants: pl.Series) -> npt.NDArray[np.int64]:
    """Place of the first of the ascending closes at or after each instant; their number where there is none."""
    return np.searchsorted(closes.to_numpy(), instants.to_numpy(), side="left").astype(np.int64)


def pinball_loss() -> pl.Expr:
    """Mean over the quantiles of ``max(q (y - f), (q - 1) (y - f))``; reads p10, p50, p90 and forward_return."""
    return pl.mean_horizontal([_pinball(q, pl.col(name)) for q, name in QUANTILE_COLUMNS.items()])


def _pinball(quantile: float, forecast: pl.Expr) -> pl.Expr:
    gap = pl.col("forward_return") - forecast
    return pl.max_horizontal(quantile * gap, (quantile - 1) * gap)
