"""Gathers what is known of one stored forecast: its row, its receipt, and what came of earlier forecasts by then."""

from typing import TYPE_CHECKING, Any

import polars as pl

from lake.calendars import count_closes, is_daily
from lake.errors import UnknownNameError
from lake.tables import FORECASTS, OUTCOMES
from serving.api import outlook_of
from serving.explain.narrative.facts import BandRecord, NarrativeInputs
from serving.forecasts import (
    ANSWERED,
    COVERAGE_TARGET,
    REPLAY,
    VISIBLE,
    Calibration,
    confidence,
    direction_of,
    target_price,
    trust_of,
)
from serving.replay import cases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.settings import Settings
    from lake.store import Lake
    from serving.receipts import Receipt
    from serving.replay import Case


def stored_forecast(lake: "Lake", configured: "Settings", forecast_id: str) -> "Case":
    """Return a stored forecast that may be shown, from the lake or from the log.

    Raises
    ------
    UnknownNameError
        If no forecast has that id, or it is a challenger's.
    """
    found = cases(lake, configured, [forecast_id])
    if not found or found[0].row["kind"] not in VISIBLE:
        raise UnknownNameError("prediction", forecast_id, [])
    return found[0]


def inputs_of(lake: "Lake", case: "Case") -> NarrativeInputs:
    """Return what is known of a stored forecast.

    Records count outcomes that were known at the market time at which it was made, one per session.
    """
    row, receipt = case.row, case.receipt
    ahead = lake.market.horizon_of(row["horizon_sessions"])
    models = ((row["model_name"], 1.0),) if receipt is None or case.is_replay else _weights(receipt)
    price = None if row["price_basis"] is None else row["reference_price"]
    strategy = None if receipt is None else receipt.strategy
    sure = _confidence(row, receipt, is_replay=case.is_replay)
    is_sealed = receipt is not None or bool(case.findings)
    return NarrativeInputs(
        symbol=row["symbol"],
        forecast_id=case.forecast_id,
        as_of=row["event_time"],
        known_time=row["known_time"],
        horizon=ahead.n,
        horizon_unit=ahead.unit if ahead.n == 1 else f"{ahead.unit}s",
        p10=row["p10"],
        p50=row["p50"],
        p90=row["p90"],
        coverage_target=COVERAGE_TARGET,
        confidence=sure,
        outlook=None if sure is None else outlook_of(direction_of(row["p50"]), sure),
        reference_price=price,
        target_price=target_price(price, row["p50"]),
        currency=row["currency"],
        target_session=row["target_session"],
        regime=row["regime"],
        strategy=row["strategy"] if strategy is None else strategy.selected,
        strategy_confidence=None if strategy is None else strategy.confidence,
        models=models,
        calibrated_on=_calibrated_on(receipt, row["horizon_sessions"]),
        answered=_record(lake, row, ANSWERED),
        replayed=_record(lake, row, (REPLAY,), [name for name, _ in models]),
        age=count_closes(row["event_time"], row["known_time"], lake.market.grid),
        age_unit="sessions" if is_daily(lake.market.grid) else "bars",
        is_degraded=row["degraded"],
        is_intact=not case.findings if is_sealed else None,
    )


def _weights(receipt: "Receipt") -> tuple[tuple[str, float], ...]:
    return tuple((use.name, use.weight) for use in receipt.models if use.weight)


def _confidence(row: "dict[str, Any]", receipt: "Receipt | None", *, is_replay: bool) -> float | None:
    """Confidence as it was answered; None for an answered forecast whose receipt is gone."""
    if receipt is None and not is_replay:
        return None
    calibration = None if receipt is None or receipt.calibration is None else Calibration.from_dict(receipt.calibration)
    return confidence(row["p10"], row["p50"], row["p90"], trust=trust_of(calibration, row["horizon_sessions"]))


def _calibrated_on(receipt: "Receipt | None", horizon: int) -> int | None:
    if receipt is None or receipt.calibration is None:
        return None
    calibration = Calibration.from_dict(receipt.calibration)
    return round(calibration.sessions[calibration.horizons.index(horizon)]) if calibration.knows(horizon) else None


def _record(
    lake: "Lake", row: "dict[str, Any]", kinds: "Sequence[str]", models: "Sequence[str] | None" = None
) -> BandRecord:
    """Count covered outcomes of earlier forecasts for the symbol over the horizon; of several of a session the last."""
    if not lake.exists(FORECASTS) or not lake.exists(OUTCOMES):
        return BandRecord(0, 0)
    is_like = (pl.col("symbol") == row["symbol"]) & (pl.col("horizon_sessions") == row["horizon_sessions"])
    is_counted = is_like & pl.col("kind").is_in(kinds)
    is_counted = is_counted if models is None else is_counted & pl.col("model_name").is_in(models)
    earlier = lake.scan(FORECASTS).filter(is_counted).select("forecast_id", "event_time", "model_name", "made_at")
    last = earlier.sort("made_at").unique(["event_time", *(["model_name"] if models else [])], keep="last")
    known = lake.scan(OUTCOMES).filter(pl.col("known_time") <= row["known_time"]).select("forecast_id", "is_covered")
    held, outcomes = last.join(known, on="forecast_id").select(pl.col("is_covered").sum(), pl.len()).collect().row(0)
    return BandRecord(int(held), int(outcomes))
