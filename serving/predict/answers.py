"""From quantiles to what is answered and what is logged."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lake import calendars
from serving import api
from serving.forecasts import COVERAGE_TARGET, Member, confidence, direction_of, name_blend, trust_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from serving.forecasts import Row


def compose(
    row: "Row",
    quantiles: "NDArray[np.float64]",
    parts: "Sequence[Member]",
    *,
    prediction_id: str,
    horizon: int,
    made_at: "datetime",
    now: "datetime",
) -> api.PredictAnswer:
    """Build one answer."""
    p10, p50, p90 = (float(value) for value in quantiles)
    age = age_sessions(row.as_of, now)
    return api.PredictAnswer(
        prediction_id=prediction_id,
        symbol=row.symbol,
        as_of=row.as_of,
        made_at=made_at,
        prediction=api.Prediction(
            target_price=row.reference_price * (1.0 + p50),
            reference_price=row.reference_price,
            expected_return=p50,
            p10=p10,
            p50=p50,
            p90=p90,
            direction=direction_of(p50),
            confidence=confidence(p10, p50, p90, trust=trust_of(row.calibration, horizon)),
            is_calibrated=row.calibration is not None and row.calibration.knows(horizon),
            coverage_target=COVERAGE_TARGET,
            horizon_sessions=horizon,
            regime=row.regime,
        ),
        strategy=_strategy(row.selected_strategy, tuple(row.strategies), tuple(row.weights), row.confidence),
        model=_model(tuple(parts)),
        data=api.Data(
            feature_table_versions=dict(sorted(row.table_versions.items())),
            feature_hash=row.feature_hash,
            age_sessions=age,
            is_stale=age > 0,
            is_degraded=bool(row.degraded),
            degraded_because=row.degraded,
        ),
    )


@lru_cache(maxsize=1_024)
def _strategy(
    selected: str, strategies: tuple[str, ...], weights: tuple[float, ...], confidence: float
) -> api.Strategy:
    """What many answers have in common is made once."""
    return api.Strategy(
        selected_strategy=selected,
        parameter_weights=dict(zip(strategies, weights, strict=True)),
        heuristic_confidence=confidence,
    )


@lru_cache(maxsize=1_024)
def _model(parts: tuple[Member, ...]) -> api.Model:
    """The same for the models behind it."""
    model = name_blend(parts)
    return api.Model(
        name=model.name,
        version=model.version,
        digest=model.digest,
        members=[api.ModelPart(**part._asdict()) for part in parts],
    )


def log_row(answer: api.PredictAnswer, now: "datetime") -> dict[str, Any]:
    """One row of the table `forecasts`, but for its latency."""
    said = answer.prediction
    return {
        "forecast_id": answer.prediction_id,
        "kind": "served",
        "symbol": answer.symbol,
        "event_time": answer.as_of,
        "known_time": now,
        "made_at": answer.made_at,
        "horizon_sessions": said.horizon_sessions,
        "p10": said.p10,
        "p50": said.p50,
        "p90": said.p90,
        "reference_price": said.reference_price,
        "model_name": answer.model.name,
        "model_version": answer.model.version,
        "model_digest": answer.model.digest,
        "strategy": answer.strategy.selected_strategy,
        "regime": said.regime,
        "feature_table_versions": versions_text(answer.data.feature_table_versions),
        "feature_hash": answer.data.feature_hash,
        "degraded": answer.data.is_degraded,
    }


def versions_text(versions: "Mapping[str, int]") -> str:
    """Table versions as the table `forecasts` keeps them."""
    return json.dumps(dict(versions), sort_keys=True)


@lru_cache(maxsize=4_096)
def age_sessions(as_of: "datetime", now: "datetime") -> int:
    """How many sessions have closed after `as_of`, up to and with `now`."""
    return len(calendars.session_closes(as_of, now))
