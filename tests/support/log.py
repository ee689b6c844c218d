"""For tests of the forecast log: a row that has every column, with numbers that a careless writer would round.

Sealed ones are of real size, with a receipt as the service writes it; a bit of one can be flipped in the file itself.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from serving.forecast_log import LogEntry
from serving.receipts import receipt_text

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
        "p90": 0.7000000000000001,
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
        "price_basis": "as_traded",
        "currency": "USD",
        "target_session": date(2013, 1, 2),
    } | change


def entries(
    template: LogEntry,
    symbol: str,
    numbers: Iterable[int],
    *,
    kind: Literal["served", "scheduled", "shadow"] = "served",
) -> list[LogEntry]:
    """Return a real answer under new ids, as one of a symbol over each of some horizons."""
    made = []
    for number in numbers:
        identifier = str(uuid.uuid4())
        text = template.answer.replace('"AAPL"', f'"{symbol}"').replace(template.row["forecast_id"], identifier)
        answer = json.loads(text)
        answer["prediction"]["horizon_sessions"] = number
        row = dict(template.row) | {"forecast_id": identifier, "symbol": symbol, "kind": kind}
        made.append(LogEntry(row, json.dumps(answer)))
    return made


MODELS = ("lightgbm", "lstm", "naive", "ridge", "tft")


def sealed_entry(forecast_id: str | None = None, *, key_id: str = "", session: str = "1", **change: Any) -> LogEntry:
    """Return a forecast with an answer and a receipt that belong to it, each of about the size of real ones.

    Parameters
    ----------
    session
        Goes into what the receipt shares with those of the same session.
    """
    row = forecast_row(forecast_id, **({"p10": -0.030189, "p50": 0.000353, "p90": 0.0310808} | change))
    members = [{"name": name, "version": "1", "digest": 8 * f"{name:_<8.8}", "weight": 0.2} for name in MODELS]
    answer = {
        "prediction_id": row["forecast_id"],
        "symbol": row["symbol"],
        "made_at": row["made_at"].isoformat().replace("+00:00", "Z"),
        "prediction": {name: row[name] for name in ("p10", "p50", "p90", "reference_price", "regime")},
        "strategy": {"parameter_weights": dict.fromkeys(MODELS, 0.2), "selected_strategy": row["strategy"]},
        "model": {"name": row["model_name"], "members": members},
        "data": {"feature_hash": row["feature_hash"], "disclaimer": "No advice to buy or sell anything. " * 12},
    }
    engine = {"device": "cpu", "provider": "CPUExecutionProvider", "threads": 1, "grain": 1}
    shared = {
        "tables": dict.fromkeys(("bars", "calibrations", "features_technical", "model_windows", "regimes"), 1),
        "strategy": {"selected": "equal_weight", "strategies": MODELS, "weights": [0.2] * 5, "confidence": 0.2},
        "models": [member | {"engine": engine} for member in members],
        "code": dict.fromkeys(("version", "commit", "python", "numpy", "onnxruntime", "processor"), "1")
        | {"sources": f"{session:a>64}"},
    }
    text = json.dumps(answer, separators=(",", ":"))
    known = row["known_time"].isoformat()
    inside = json.dumps(shared, separators=(",", ":"))[1:-1]
    return LogEntry(row, text, receipt_text(inside, known, row, text, uuid.uuid4().hex), key_id)


def flip_bit(path: Path, forecast_id: str, name: str, *, bit: int = 3, at: int = 0) -> None:
    """Flip one bit of a value in a row of a log file that nobody has open, on the disk itself.

    Parameters
    ----------
    at
        In which letter of the value as JSON has it, by default the first.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    content = bytearray(path.read_bytes())
    row = content.index(b'{"forecast_id":"' + forecast_id.encode())
    value = content.index(f'"{name}":'.encode(), row) + len(name) + 3
    content[value + at] ^= 1 << bit
    path.write_bytes(content)
