"""For tests of the forecast log: a row that has every column, with numbers that a careless writer would round."""

import uuid
from datetime import UTC, datetime
from typing import Any

CLOSE = datetime(2012, 12, 31, 21, tzinfo=UTC)
MADE_AT = datetime(2026, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)


def forecast_row(forecast_id: str | None = None, **change: Any) -> dict[str, Any]:
    """Return the row of a forecast that was served, with an id of its own and with what is given in place."""
    return {
        "forecast_id": forecast_id or str(uuid.uuid4()),
        "kind": "served",
        "symbol": "AAPL",
        "event_time": CLOSE,
        "known_time": CLOSE,
        "made_at": MADE_AT,
        "horizon_sessions": 1,
        "p10": -0.1 - 1e-17,
        "p50": 1 / 3,
        "p90": 0.30000000000000004,
        "reference_price": 532.1729,
        "model_name": "lstm",
        "model_version": "1",
        "model_digest": "ab" * 32,
        "strategy": "lstm",
        "regime": "low_volatility_uptrend",
        "feature_table_versions": "{}",
        "feature_hash": "cd" * 32,
        "latency_ms": 1.25,
        "degraded": False,
    } | change
