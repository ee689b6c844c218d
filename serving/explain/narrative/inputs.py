"""Gathers what is known of one stored forecast: its row, its receipt, and what came of earlier forecasts by then."""

from typing import TYPE_CHECKING, Any

from lake.calendars import count_closes, is_daily
from lake.errors import UnknownNameError
from serving.api import outlook_of
from serving.explain.narrative.facts import BandCount, NarrativeInputs
from serving.forecasts import (
    COVERAGE_TARGET,
    VISIBLE,
    Calibration,
    confidence,
    direction_of,
    target_price,
    trust_of,
)
from serving.history import KnownTables, band_of, record_in_replay
from serving.replay import cases

if TYPE_CHECKING:
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


def inputs_of(tables: KnownTables, case: "Case") -> NarrativeInputs:
    """Return what is known of a stored forecast.

    Records count outcomes that were known when it was made, by the market's time, as the calibration route does.
    """
    row, receipt = case.row, case.receipt
    ahead = tables.market.horizon_of(row["horizon_sessions"])
    models = ((row["model_name"], 1.0),) if receipt is None or case.is_replay else _weights(receipt)
    price = None if row["price_basis"] is None else row["reference_price"]
    strategy = None if receipt is None else receipt.strategy
    sure = _confidence(row, receipt, is_replay=case.is_replay)
    is_sealed = receipt is not None or bool(case.findings)
    return NarrativeInputs(
        symbol=row["symbol"],
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
        answered=_answered(tables, row),
        replayed=_replayed(tables, row, is_replay=case.is_replay),
        age=count_closes(row["event_time"], row["known_time"], tables.market.grid),
        age_unit="sessions" if is_daily(tables.market.grid) else "bars",
        is_degraded=row["degraded"],
        is_intact=not case.findings if is_sealed else None,
        has_daily_bars=is_daily(tables.market.grid),
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


def _answered(tables: KnownTables, row: "dict[str, Any]") -> BandCount:
    """Count the bands that were answered for the symbol over the horizon, as the calibration route does."""
    band = band_of(tables, row["symbol"], row["horizon_sessions"], row["known_time"])
    return BandCount(band.outcomes, band.held, band.low, band.high)


def _replayed(tables: KnownTables, row: "dict[str, Any]", *, is_replay: bool) -> BandCount:
    """Count the replayed bands: of the blend, as the badge of its pages does, or of the model that replayed the row."""
    asked = tables, row["symbol"], row["horizon_sessions"], row["known_time"]
    band = band_of(*asked, model=row["model_name"]) if is_replay else record_in_replay(*asked)
    return BandCount(band.outcomes, band.held, band.low, band.high)
