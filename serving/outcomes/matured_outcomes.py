"""Outcomes of matured forecasts, exactly one each, and paper returns of every strategy."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.calendars import numbered_closes
from lake.clock import Clock
from lake.errors import ConflictError
from lake.horizon_ends import horizon_ends
from lake.ledger import TrialLedger
from lake.market import DEMO, Market
from lake.report import Report
from lake.spec import INSTANT
from lake.store import Lake
from lake.tables import BARS, FORECASTS, LABELS, OUTCOMES, REGIMES, STRATEGY_RETURNS
from serving.forecasts import REPLAY
from serving.strategies import (
    FORECAST_HORIZON,
    STRATEGIES,
    absences,
    net_returns,
    positions,
    settled_returns,
    strategy_trials,
)

QUANTILE_COLUMNS = {0.1: "p10", 0.5: "p50", 0.9: "p90"}


def mature(lake: Lake, clock: Clock) -> Report:
    """Write one outcome for each forecast, replayed or served, whose horizon has passed by the market's now.

    Returns
    -------
    Report
        Of `outcomes`; skipped when no further forecast has matured. ``details["waiting"]`` counts forecasts whose
        horizon is still open; ``details["unsettled"]``, where there are any, says of which symbols how many forecasts
        cannot be settled, and why.
    """
    started = time.perf_counter()
    forecasts = lake.read_as_of(FORECASTS, clock.now())
    if lake.exists(OUTCOMES):
        forecasts = forecasts.join(lake.read(OUTCOMES).select("forecast_id"), on="forecast_id", how="anti")
    matured = outcomes_of(forecasts, known_labels(lake, clock))
    report = lake.merge(OUTCOMES, matured)
    still = forecasts.join(matured, on="forecast_id", how="anti")
    halted = ending_in_halts(still, _sessions_with_bars(lake, clock, still["event_time"].min()), lake.market.grid)
    report = report.with_details(seconds=time.perf_counter() - started, waiting=still.height - halted.height)
    if halted.height:
        report = report.with_details(unsettled=why_unsettled(halted))
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


def ending_in_halts(forecasts: pl.DataFrame, bars: pl.DataFrame, calendar: str) -> pl.DataFrame:
    """Return the forecasts whose horizon has ended at a session at which their symbol has no bar.

    The market has to have gone on since: until it has a bar of a later session, this one's may still come.

    Parameters
    ----------
    forecasts
        Rows of `forecasts` without an outcome.
    bars
        ``symbol`` and ``event_time`` of the bars known by now.
    calendar
        Whose sessions horizons are counted in.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``event_time``, ``end`` (the close at which the bar is missing, that of the forecast's own session
        where that one is), one row per forecast.
    """
    closes = numbered_closes(forecasts["event_time"].min(), bars["event_time"].max(), calendar)["event_time"]
    asked = forecasts.select("symbol", "event_time", "horizon_sessions")
    ends = [
        pl.DataFrame({"event_time": closes, "end": horizon_ends(closes, horizon, calendar)}).with_columns(
            pl.lit(horizon, dtype=pl.Int32).alias("horizon_sessions")
        )
        for horizon in asked["horizon_sessions"].unique()
    ]
    none = asked.select("event_time", pl.col("event_time").alias("end"), "horizon_sessions").clear()
    ended = asked.join(pl.concat([none, *ends]), on=["event_time", "horizon_sessions"])
    ended = ended.filter(pl.col("end") < bars["event_time"].max())
    has_bar = bars.select("symbol", "event_time", has_bar=True)
    looked_up = ended.join(has_bar, on=["symbol", "event_time"], how="left").join(
        has_bar.rename({"event_time": "end"}), on=["symbol", "end"], how="left", suffix="_at_end"
    )
    missing = looked_up.filter(pl.col("has_bar").is_null() | pl.col("has_bar_at_end").is_null())
    return missing.select(
        "symbol", "event_time", pl.when(pl.col("has_bar").is_null()).then("event_time").otherwise("end").alias("end")
    )


def why_unsettled(halted: pl.DataFrame) -> list[str]:
    """Say of each symbol how many of its forecasts cannot be settled, and why.

    Parameters
    ----------
    halted
        As `ending_in_halts` returns them.
    """
    by_symbol = halted.group_by("symbol").agg(
        pl.len(), pl.col("end").min().alias("first"), pl.col("end").max().alias("last")
    )
    return [
        f"{count} forecasts of {symbol} cannot be settled, because it has no bar at {first:%Y-%m-%d}"
        + (f" and later, until {last:%Y-%m-%d}" if last > first else "")
        for symbol, count, first, last in by_symbol.sort("symbol").iter_rows()
    ]


def _sessions_with_bars(lake: Lake, clock: Clock, first: Any) -> pl.DataFrame:
    """Symbols and closes of the bars from an instant on, those known by now."""
    known = lake.scan(BARS).filter(
        pl.col("known_time") <= clock.now(), pl.col("event_time") >= pl.lit(first, dtype=INSTANT)
    )
    return known.select("symbol", "event_time").unique().collect()


def update_strategy_returns(lake: Lake, clock: Clock) -> Report:
    """Write what every declared strategy earned in each session whose return has become known.

    Strategies trade on the replayed forecasts, which exist for every model, symbol and session, so that all of them are
    judged on the same ground. A symbol without a bar holds no other back: `serving.strategies.halts`. Each strategy is
    a trial of the ledger, which is written before the report is returned.

    Returns
    -------
    Report
        Of `strategy_returns`; skipped when no further session has settled. ``warnings`` name strategies that have no
        forecast to trade on, and symbols that have no bar at the market's newest session.
    """
    started = time.perf_counter()
    replayed = lake.read_as_of(FORECASTS, clock.now(), where=pl.col("kind") == REPLAY)
    labels = known_labels(lake, clock).filter(pl.col("horizon_sessions") == FORECAST_HORIZON)
    regimes = lake.read_as_of(REGIMES, clock.now()).select("event_time", "regime")
    bars = _first_known_closes(lake, clock, replayed)
    earned = paper_returns(replayed, labels, regimes, bars, lake.market)
    report = lake.merge_unstored(STRATEGY_RETURNS, earned)
    ledger = TrialLedger(lake, clock.now(), table_versions=lake.versions([STRATEGY_RETURNS]))
    ledger.record(strategy_trials(lake.read_as_of(STRATEGY_RETURNS, clock.now())))
    models = set(replayed["model_name"].unique())
    idle = [strategy.name for strategy in STRATEGIES if strategy.model not in models]
    warnings = [f"No replayed forecast for the strategies {', '.join(idle)}; they earn nothing."] if idle else []
    market = lake.market
    warnings += absences(bars, replayed["symbol"].unique(), market.delisted_after_bars, market.interval)
    report = report.with_details(seconds=time.perf_counter() - started, warnings=tuple(warnings))
    return report.with_details(reason="no further session has settled") if report.skipped else report


def paper_returns(
    forecasts: pl.DataFrame, labels: pl.DataFrame, regimes: pl.DataFrame, bars: pl.DataFrame, market: Market = DEMO
) -> pl.DataFrame:
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
    bars
        ``symbol``, ``event_time``, ``known_time`` and ``close`` of the bars of these sessions and of those after them,
        each as first known.
    market
        Says when positions are taken, and after how many sessions without a bar they are closed.

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
    quoted = bars.filter(pl.col("known_time") <= pl.col("event_time") + market.decided_after)
    returns = settled_returns(labels, bars)
    for strategy in STRATEGIES:
        held = positions(strategy, forecasts, quoted, market.delisted_after_bars)
        earned = net_returns(held, returns).join(regimes, on="event_time", how="inner", maintain_order="left")
        frames.append(earned.with_columns(pl.lit(strategy.name).alias("strategy")).select(STRATEGY_RETURNS.names))
    return pl.concat(frames)


def _first_known_closes(lake: Lake, clock: Clock, forecasts: pl.DataFrame) -> pl.DataFrame:
    """Bars from the first session that was forecast on, each as it was first known, those known by now."""
    first = forecasts["event_time"].min()
    is_wanted = (pl.col("known_time") <= clock.now()) & (pl.col("event_time") >= first)
    rows = lake.scan(BARS).filter(is_wanted).select(*BARS.key, "known_time", "close").collect()
    return rows.sort("known_time", maintain_order=True).unique(list(BARS.key), keep="first", maintain_order=True)


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
