"""Forecasts of a symbol as they were known at an instant."""

from datetime import datetime
from typing import Any

import polars as pl

from lake.market import Market
from lake.tables import FORECASTS
from serving import api
from serving.forecasts import ANSWERED, REPLAY
from serving.history.bars import EVERYTHING
from serving.history.known import KnownTables
from serving.history.moments import Span
from serving.history.paging import RowsPage

SHOWN = (
    "forecast_id",
    "kind",
    "event_time",
    "known_time",
    "target_session",
    "model_name",
    "model_version",
    "regime",
    "p10",
    "p50",
    "p90",
    "reference_price",
    "price_basis",
    "currency",
)


def forecasts_of(
    tables: KnownTables,
    symbol: str,
    horizon: int,
    at: datetime,
    *,
    model: str | None = None,
    span: Span = EVERYTHING,
    page: RowsPage | None = None,
) -> api.ForecastsAnswer:
    """Return forecasts of a symbol that had been made by an instant.

    Parameters
    ----------
    horizon
        As the tables count it, see `lake.horizons.Horizon.bars`.
    model
        The forecasts of one model on its own, as the walk-forward made them; by default those that were answered.
    span
        Of the closes that the forecasts knew.
    """
    made = tables.known(FORECASTS, at, symbol=symbol).filter(made_by(model), pl.col("horizon_sessions") == horizon)
    made = made.filter(span.holds).sort("event_time", "known_time", "made_at", "forecast_id")
    rows, next_offset = (page or RowsPage()).of(made)
    return api.ForecastsAnswer(
        symbol=symbol,
        as_of=at,
        **ahead_of(tables.market, horizon),
        rows_in_all=made.height,
        next_offset=next_offset,
        forecasts=[api.HistoryForecast(**row) for row in _shown(rows).iter_rows(named=True)],
    )


def ahead_of(market: Market, horizon: int) -> dict[str, Any]:
    """Return the member of an answer that says how far ahead, in sessions or in minutes."""
    ahead = market.horizon_of(horizon)
    return {ahead.member: ahead.n}


def made_by(model: str | None) -> pl.Expr:
    """Which forecasts are meant: the replays of one model, or those that were answered. Never a challenger's."""
    if model is None:
        return pl.col("kind").is_in(ANSWERED)
    return (pl.col("kind") == REPLAY) & (pl.col("model_name") == model)


def _shown(rows: pl.DataFrame) -> pl.DataFrame:
    # A row from before its price basis was kept has a price that nobody may have traded at.
    price = pl.when(pl.col("price_basis").is_not_null()).then("reference_price")
    return rows.select(SHOWN).with_columns(
        price.alias("reference_price"),
        *((price * (1 + pl.col(level))).alias(f"price_{level}") for level in ("p10", "p50", "p90")),
        rows["degraded"].alias("is_degraded"),
    )
