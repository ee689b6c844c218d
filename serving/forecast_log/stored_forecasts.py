"""Forecasts as rows of the table `forecasts`: the source of an answer once the log is pruned."""

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.errors import SchemaError
from lake.tables import FORECASTS, RECEIPTS
from serving.api import StoredForecast, outlook_of
from serving.forecasts import (
    ANSWERED,
    PRICED,
    VISIBLE,
    Calibration,
    confidence,
    direction_of,
    target_price,
    trust_of,
)
from serving.receipts import Receipt, is_intact

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
    if not found.height:
        return None
    row = found.row(0, named=True)
    return _answer(row, lake.market, _confidence(lake, row))


def _confidence(lake: "Lake", row: dict[str, Any]) -> float | None:
    """Confidence as it was answered, by the calibration in the receipt.

    None where no receipt is left that has its seal and can be read.
    What the walk-forward made is not calibrated, and says its own.
    """
    said = row["p10"], row["p50"], row["p90"]
    if row["kind"] not in ANSWERED:
        return confidence(*said)
    if not lake.exists(RECEIPTS):
        return None
    is_its = (pl.col("forecast_id") == row["forecast_id"]) & (pl.col("event_time") == row["event_time"])
    found = lake.scan(RECEIPTS).filter(is_its).select("content", "seal").collect()
    if not found.height or not is_intact(*found.row(0)):
        return None
    try:
        stored = Receipt.from_json(found.item(0, "content")).calibration
    except SchemaError:  # of a later version; a replay says what is wrong with it
        return None
    calibration = None if stored is None else Calibration.from_dict(stored)
    return confidence(*said, trust=trust_of(calibration, row["horizon_sessions"]))


def _answer(row: dict[str, Any], market: "Market", sure: float | None) -> StoredForecast:
    same = (
        "kind",
        "symbol",
        "known_time",
        "made_at",
        "p10",
        "p50",
        "p90",
        *PRICED,
    )
    also = ("regime", "strategy", "model_name", "model_version", "model_digest", "feature_hash")
    ahead = market.horizon_of(row["horizon_sessions"])
    direction = direction_of(row["p50"])
    # A row from before its price basis was kept has a price that nobody may have traded at.
    price = None if row["price_basis"] is None else row["reference_price"]
    values: dict[str, Any] = {ahead.member: ahead.n} | {name: row[name] for name in (*same, *also)}
    return StoredForecast(
        prediction_id=row["forecast_id"],
        as_of=row["event_time"],
        direction=direction,
        confidence=sure,
        outlook=None if sure is None else outlook_of(direction, sure),
        reference_price=price,
        target_price=target_price(price, row["p50"]),
        feature_table_versions=json.loads(row["feature_table_versions"]),
        is_degraded=row["degraded"],
        **values,
    )
