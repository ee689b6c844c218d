"""Stored forecasts of any kind with what an operator asks about them: latency, engines and the way to the receipt."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.errors import SchemaError
from lake.tables import FORECASTS, RECEIPTS
from serving import api
from serving.forecast_log.draining import row_from_json
from serving.forecasts import PRICED, VISIBLE
from serving.receipts import ModelUse, Receipt, opened

if TYPE_CHECKING:
    from lake.market import Market
    from lake.store import Lake
    from serving.forecast_log.log_reading import LogReader, Stored

RECEIPT = "/api/v1/public/predictions/{}/receipt"
SAME = ("kind", "symbol", "known_time", "made_at", "p10", "p50", "p90", "reference_price", *PRICED)


def for_operators(lake: "Lake", logged: "LogReader", ids: Sequence[str]) -> dict[str, api.OperatorForecast]:
    """Return the stored forecasts of some ids, by id, from the log or the lake; one that is not stored is left out.

    A challenger's forecasts are among them. Of the lake, `forecasts` and `receipts` are each read once.
    """
    in_log = {found.forecast_id: found for found in map(logged.get, ids) if found is not None}
    market, rest = lake.market, [each for each in ids if each not in in_log]
    from_log = {each: _view(market, row_from_json(found.row), _receipt(found), "log") for each, found in in_log.items()}
    if not rest or not lake.exists(FORECASTS):
        return from_log
    rows = lake.read(FORECASTS, where=pl.col("forecast_id").is_in(rest)).to_dicts()
    receipts = _receipts(lake, rest)
    return from_log | {
        row["forecast_id"]: _view(market, row, receipts.get(row["forecast_id"]), "table") for row in rows
    }


def _receipt(found: "Stored") -> Receipt | None:
    """Receipt of a logged forecast; None where it has none, or none that can be read."""
    with suppress(SchemaError):
        return Receipt.from_json(opened(found.receipt)[0]) if found.receipt else None
    return None


def _receipts(lake: "Lake", ids: Sequence[str]) -> dict[str, Receipt]:
    """Receipts of forecasts in the lake that have one of their own and can be read."""
    if not lake.exists(RECEIPTS):
        return {}
    stored = lake.read(RECEIPTS, where=pl.col("forecast_id").is_in(ids)).select("forecast_id", "content")
    found = {}
    for forecast_id, content in stored.iter_rows():
        with suppress(SchemaError):
            found[forecast_id] = Receipt.from_json(content)
    return found


def _view(market: "Market", row: Mapping[str, Any], receipt: Receipt | None, source: Any) -> api.OperatorForecast:
    ahead = market.horizon_of(row["horizon_sessions"])
    values: dict[str, Any] = {ahead.member: ahead.n} | {name: row.get(name) for name in SAME}
    return api.OperatorForecast(
        prediction_id=row["forecast_id"],
        as_of=row["event_time"],
        model_name=row["model_name"],
        model_version=row["model_version"],
        latency_ms=row["latency_ms"],
        is_degraded=row["degraded"],
        stored_in=source,
        correlation_id="" if receipt is None else receipt.correlation_id,
        engines=_engines(row) if receipt is None else [_engine(used) for used in receipt.models],
        receipt=RECEIPT.format(row["forecast_id"]) if row["kind"] in VISIBLE else None,
        **values,
    )


def _engine(used: ModelUse) -> api.EngineUse:
    engine = {name: getattr(used.engine, name) for name in ("device", "provider", "threads")}
    return api.EngineUse(name=used.name, version=used.version, digest=used.digest, weight=used.weight, **engine)


def _engines(row: Mapping[str, Any]) -> list[api.EngineUse]:
    """The model of a forecast that has no receipt of its own, e.g. one of those replayed together."""
    said = {"name": row["model_name"], "version": row["model_version"], "digest": row["model_digest"], "weight": 1.0}
    return [api.EngineUse(**said, device=None, provider=None, threads=None)]
