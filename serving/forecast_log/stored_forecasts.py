"""Forecasts as rows of the table `forecasts`: the source of an answer once the log is pruned."""

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.tables import FORECASTS
from serving.api import StoredForecast
from serving.forecasts import ANSWERED, PRICED, VISIBLE, target_price

if TYPE_CHECKING:
    from lake.market import Market
    from lake.store import Lake


def newest_in_lake(lake: "Lake", symbol: str, horizon: int) -> StoredForecast | None:
    """Return the forecast of a symbol over a horizon that was made last; None where the table holds none."""
    is_mine = (pl.col("symbol") == symbol) & (pl.col("horizon_sessions") == horizon) & pl.col("kind").is_in(ANSWERED)
    return _one(lake, is_mine)


def in_lake(lake: "Lake", forecast_id: str) -> StoredForecast | None:
    """Return the forecast of an id; None where the table holds none of it that may be answered."""
    return _one(lake, (pl.col("forecast_id") == forecast_id) & pl.col("kind").is_in(VISIBLE))


def _one(lake: "Lake", where: pl.Expr) -> StoredForecast | None:
    if not lake.exists(FORECASTS):
        return None
    found = lake.scan(FORECASTS).filter(where).sort("made_at").tail(1).collect()
    return _answer(found.row(0, named=True), lake.market) if found.height else None


def _answer(row: dict[str, Any], market: "Market") -> StoredForecast:
    same = (
        "kind",
        "symbol",
        "known_time",
        "made_at",
        "p10",
        "p50",
        "p90",
        "reference_price",
        *PRICED,
    )
    also = ("regime", "strategy", "model_name", "model_version", "model_digest", "feature_hash")
    ahead = market.horizon_of(row["horizon_sessions"])
    values: dict[str, Any] = {ahead.member: ahead.n} | {name: row[name] for name in (*same, *also)}
    return StoredForecast(
        prediction_id=row["forecast_id"],
        as_of=row["event_time"],
        target_price=target_price(row["reference_price"], row["p50"]),
        feature_table_versions=json.loads(row["feature_table_versions"]),
        is_degraded=row["degraded"],
        **values,
    )
