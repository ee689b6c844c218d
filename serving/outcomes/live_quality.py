"""Live quality: errors, skill and coverage of recently matured forecasts."""

import time
from typing import TYPE_CHECKING

import polars as pl

from lake.report import Report
from lake.tables import FORECASTS, OUTCOMES
from serving.forecasts import REPLAY
from serving.outcomes.coverage import MATURED_KINDS, coverage_by_regime
from serving.outcomes.live_records import coverage_figures, skill_figures
from serving.outcomes.quality_file import BandFigures, Figures, ModelFigures, read_figures, write_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake

SESSIONS = 60
DECIMALS = 9
"""Sums of many numbers differ in their last bits from run to run; a figure that has not changed is not written."""
KINDS = (*MATURED_KINDS, REPLAY)
"""Models are scored on answered and replayed forecasts, no challenger's; bands on answered forecasts only."""


def update_figures(lake: "Lake", configured: "Settings", clock: "Clock") -> Report:
    """Write the figures of the last sessions into the file that the service shows.

    Returns
    -------
    Report
        Of the figures; ``details`` say how many forecasts stand behind them. Skipped when they are what they were.
    """
    started = time.perf_counter()
    errors, coverage = model_errors(lake, clock), coverage_by_regime(lake, clock, sessions=SESSIONS)
    bands = coverage.select(BandFigures.model_fields.keys())
    figures = Figures(
        models=tuple(ModelFigures(**row) for row in errors.iter_rows(named=True)),
        bands=tuple(BandFigures(**row) for row in bands.iter_rows(named=True)),
        skills=skill_figures(lake, clock),
        coverages=coverage_figures(lake, clock),
    )
    judged, answered = (sum(part.forecasts for part in parts) for parts in (figures.models, figures.bands))
    is_new = figures != read_figures(configured)
    if is_new:
        write_figures(configured, figures)
    rows = sum(map(len, (figures.models, figures.bands, figures.skills, figures.coverages)))
    report = Report(name="live_figures", rows=rows, skipped=not is_new)
    report = report.with_details(seconds=time.perf_counter() - started, judged=judged, answered=answered)
    return report if is_new else report.with_details(reason="no figure has changed")


def model_errors(
    lake: "Lake", clock: "Clock", *, sessions: int = SESSIONS, kinds: "Sequence[str]" = KINDS
) -> pl.DataFrame:
    """Mean errors by model and horizon over the newest sessions whose outcome is known.

    Returns
    -------
    pl.DataFrame
        ``model``, ``horizon_sessions``, ``forecasts``, ``mean_absolute_error``, ``pinball_loss``, the last two as
        shares of the price; empty while nothing has matured.
    """
    columns = ("model", "horizon_sessions", "forecasts", "mean_absolute_error", "pinball_loss")
    if not lake.exists(FORECASTS) or not lake.exists(OUTCOMES):
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.Float64))
    known = lake.scan(OUTCOMES).filter(pl.col("known_time") <= clock.now())
    forecasts = lake.scan(FORECASTS).filter(pl.col("kind").is_in(kinds))
    matured = forecasts.select(
        "forecast_id", "event_time", "horizon_sessions", pl.col("model_name").alias("model")
    ).join(known.select("forecast_id", "error", "pinball_loss"), on="forecast_id")
    age = pl.col("event_time").rank("dense", descending=True).over("model", "horizon_sessions")
    figures = (
        matured.filter(age <= sessions)
        .group_by("model", "horizon_sessions")
        .agg(
            pl.len().alias("forecasts"),
            pl.col("error").abs().mean().round(DECIMALS).alias("mean_absolute_error"),
            pl.col("pinball_loss").mean().round(DECIMALS),
        )
    )
    return figures.sort("model", "horizon_sessions").select(columns).collect()
