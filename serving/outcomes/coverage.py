"""Coverage of the answered bands: the share of outcomes that fell within them."""

from typing import TYPE_CHECKING

import polars as pl

from lake.tables import FORECASTS, OUTCOMES
from serving.forecasts import COVERAGE_TARGET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.clock import Clock
    from lake.store import Lake

MATURED_KINDS = ("served", "scheduled")
"""Kinds of forecasts that were answered."""


def coverage_by_regime(
    lake: "Lake", clock: "Clock", *, sessions: int = 60, kinds: "Sequence[str]" = MATURED_KINDS
) -> pl.DataFrame:
    """Share of outcomes within the band that was answered, over the last sessions with an outcome.

    Parameters
    ----------
    sessions
        How many of the newest sessions with a matured forecast count, per horizon.
    kinds
        Kinds of `forecasts`.

    Returns
    -------
    pl.DataFrame
        ``horizon_sessions``, ``regime``, ``sessions``, ``forecasts``, ``coverage``, ``excess`` (coverage minus its
        target); empty while nothing has matured.
    """
    schema = {
        "horizon_sessions": pl.Int32(),
        "regime": pl.String(),
        "sessions": pl.UInt32(),
        "forecasts": pl.UInt32(),
        "coverage": pl.Float64(),
        "excess": pl.Float64(),
    }
    if not lake.exists(FORECASTS) or not lake.exists(OUTCOMES):
        return pl.DataFrame(schema=schema)
    known = lake.scan(OUTCOMES).filter(pl.col("known_time") <= clock.now()).select("forecast_id", "is_covered")
    forecasts = lake.scan(FORECASTS).filter(pl.col("kind").is_in(kinds))
    matured = forecasts.select("forecast_id", "event_time", "horizon_sessions", "regime").join(known, on="forecast_id")
    age = pl.col("event_time").rank("dense", descending=True).over("horizon_sessions")
    by_regime = matured.filter(age <= sessions).group_by("horizon_sessions", "regime")
    figures = by_regime.agg(
        pl.col("event_time").n_unique().alias("sessions"),
        pl.len().alias("forecasts"),
        pl.col("is_covered").mean().alias("coverage"),
        (pl.col("is_covered").mean() - COVERAGE_TARGET).alias("excess"),
    )
    return figures.sort("horizon_sessions", "regime").select(pl.col(n).cast(t) for n, t in schema.items()).collect()
