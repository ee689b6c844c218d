"""Strategy assignments: decisions per regime to the strategy in force for each symbol."""

import time

import polars as pl

from lake.clock import Clock
from lake.errors import NotReadyError
from lake.membership import universe_at
from lake.report import Report
from lake.store import Lake
from lake.tables import BARS, REGIMES, SELECTIONS, STRATEGY_ASSIGNMENTS


def update_assignments(lake: Lake, clock: Clock) -> Report:
    """Write, for each symbol, the strategy weights in force at the market's last known session.

    The weights are those of the latest decision for the regime of that session.

    Returns
    -------
    Report
        Of `strategy_assignments`; skipped when that session is already assigned. ``details`` name the regime and the
        strategy.

    Raises
    ------
    NotReadyError
        If no regime is known, or nothing has been decided for it.
    """
    started = time.perf_counter()
    regimes = lake.read_as_of(REGIMES, clock.now())
    if regimes.is_empty():
        raise NotReadyError("No session has a regime yet. Update `regimes` first.")
    current = regimes.sort("event_time").tail(1)
    decision = latest_decision(lake.read_as_of(SELECTIONS, clock.now()), current["regime"].item())
    in_force = decision.select("regime", "selected_strategy", "strategies", "weights", "confidence")
    rows = (
        _served_symbols(lake, clock)
        .join(current.select("event_time", "known_time"), how="cross")
        .join(in_force, how="cross")
        .with_columns(pl.max_horizontal("known_time", decision["known_time"]))
        .select(STRATEGY_ASSIGNMENTS.names)
    )
    report = lake.merge(STRATEGY_ASSIGNMENTS, rows)
    report = report.with_details(
        seconds=time.perf_counter() - started,
        regime=current["regime"].item(),
        selected_strategy=in_force["selected_strategy"].item(),
    )
    return report.with_details(reason="the last session is already assigned") if report.skipped else report


def _served_symbols(lake: Lake, clock: Clock) -> pl.DataFrame:
    """Every symbol that belongs to the market now, but for the index."""
    if not lake.exists(BARS):
        raise NotReadyError("No symbol has a bar yet. Update `bars` first.")
    market = lake.market
    members = [symbol for symbol in universe_at(lake, market.name, clock.now()) if symbol != market.index]
    return pl.DataFrame({"symbol": members}, schema={"symbol": pl.String})


def latest_decision(selections: pl.DataFrame, regime: str) -> pl.DataFrame:
    """Return the newest row of `selections` for a regime.

    Raises
    ------
    NotReadyError
        If there is none.
    """
    newest = selections.filter(pl.col("regime") == regime).sort("event_time").tail(1)
    if newest.is_empty():
        raise NotReadyError(f"Nothing has been decided for regime '{regime}' yet. Update `selections` first.")
    return newest
