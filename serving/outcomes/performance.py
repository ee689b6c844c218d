"""Performance of each strategy by regime and look-back window."""

import time
from collections.abc import Iterator

import polars as pl

from lake.calendars import VENUE
from lake.clock import Clock
from lake.errors import NotReadyError
from lake.report import Report
from lake.store import Lake
from lake.tables import FORECASTS, OUTCOMES, PERFORMANCE, STRATEGY_RETURNS
from serving.forecasts import REPLAY
from serving.strategies import FORECAST_HORIZON, STRATEGY_NAMES, drawdown_of, sharpe_of, strategy_named

ALL = "all"
WINDOWS: dict[str, int | None] = {ALL: None, "60": 60, "250": 250}
"""Windows by name: how many sessions of the market are looked back on, None for all."""


def update_performance(lake: Lake, clock: Clock) -> Report:
    """Write the performance of every strategy as it stands at the last settled session.

    Returns
    -------
    Report
        Of `performance`; skipped when no session has settled since the last one.

    Raises
    ------
    NotReadyError
        If no session has settled yet.
    """
    started = time.perf_counter()
    earned = lake.read_as_of(STRATEGY_RETURNS, clock.now(), where=pl.col("strategy").is_in(STRATEGY_NAMES))
    if earned.is_empty():
        raise NotReadyError(
            "No strategy has a settled session yet. Replay forecasts first, then update strategy_returns."
        )
    last = earned["event_time"].max()
    if lake.exists(PERFORMANCE) and last == lake.read(PERFORMANCE)["event_time"].max():
        report = lake.report(PERFORMANCE, started=started)
        return report.with_details(reason="no session has settled since the last one")
    is_judged = (pl.col("kind") == REPLAY) & (pl.col("horizon_sessions") == FORECAST_HORIZON)
    forecasts = lake.read_as_of(FORECASTS, clock.now(), where=is_judged)
    outcomes = lake.read_as_of(OUTCOMES, clock.now()).drop("event_time", "known_time")
    judged = forecasts.join(outcomes, on="forecast_id")
    report = lake.merge(PERFORMANCE, performance_of(earned, judged, lake.market.grid))
    return report.with_details(seconds=time.perf_counter() - started)


def performance_of(earned: pl.DataFrame, judged: pl.DataFrame, grid: str = VENUE) -> pl.DataFrame:
    """Score strategies per regime, and over all regimes, within each window.

    Parameters
    ----------
    earned
        Rows of `strategy_returns`.
    judged
        One-session rows of `forecasts` with the columns of `outcomes` beside them; a strategy is scored by the
        forecasts of its model.
    grid
        Of the market's bars, by which the Sharpe ratio is per year.

    Returns
    -------
    pl.DataFrame
        Rows of `performance`, stamped with the last settled session. A window looks back on the market's sessions, so
        a regime that did not occur in it has no row. Sharpe ratio and drawdown of a regime are over its own sessions,
        one after the other.
    """
    sessions = earned.select("event_time").unique().sort("event_time")["event_time"]
    stamps = {"event_time": sessions[-1], "known_time": earned["known_time"].max()}
    rows = []
    for window, length in WINDOWS.items():
        since = sessions[0] if length is None else sessions[-min(length, len(sessions))]
        recent, forecasts = earned.filter(pl.col("event_time") >= since), judged.filter(pl.col("event_time") >= since)
        for strategy, regime, returns in _groups(recent):
            scored = forecasts.filter(pl.col("model_name") == strategy_named(strategy).model)
            scored = scored if regime == ALL else scored.filter(pl.col("regime") == regime)
            named = {"strategy": strategy, "regime": regime, "window": window}
            rows.append({**named, **stamps, **_forecast_scores(scored), **_return_scores(returns, grid)})
    return pl.DataFrame(rows, schema=PERFORMANCE.schema).sort("strategy", "regime", "window")


def _groups(earned: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
    for (strategy,), returns in earned.sort("strategy", "event_time").group_by("strategy", maintain_order=True):
        yield str(strategy), ALL, returns
        for (regime,), part in returns.group_by("regime", maintain_order=True):
            yield str(strategy), str(regime), part


def _forecast_scores(judged: pl.DataFrame) -> dict[str, object]:
    scores = judged.select(
        pl.len().cast(pl.Int64).alias("forecasts"),
        pl.col("error").abs().mean().alias("mean_absolute_error"),
        pl.col("pinball_loss").mean(),
        pl.col("is_covered").mean().alias("coverage"),
        pl.col("is_direction_hit").mean().alias("hit_rate"),
    )
    return scores.row(0, named=True)


def _return_scores(earned: pl.DataFrame, grid: str) -> dict[str, object]:
    net = earned["net_return"].to_numpy()
    held = earned.filter(pl.col("exposure") > 0)["net_return"]
    return {
        "sessions": earned.height,
        "net_return": float(net.sum()),
        "sharpe": sharpe_of(net, grid),
        "drawdown": drawdown_of(net),
        "win_rate": None if held.is_empty() else (held > 0).mean(),
    }
