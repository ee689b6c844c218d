"""Answers of the endpoint, composed from the row of `forecasts` and its receipt."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from lake import calendars
from lake.horizons import horizon_of, interval_of
from serving import api
from serving.forecasts import COVERAGE_TARGET, Member, confidence, direction_of, name_blend, target_price, trust_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.forecasts import Calibration, Row


class AnswerTerms(NamedTuple):
    """Parts of an answer that are not in its row of `forecasts`.

    Parameters
    ----------
    members
        Models that took part, with their weights.
    selected_strategy, strategies, weights, confidence
        The strategy in force.
    calibration
        Correction in force.
    table_versions
        Delta version of every table that was read.
    degraded_because
        Why a fallback of the online store answered; empty where none did.
    calendar
        Grid of the market's bars, in which the age counts.
    """

    members: "Sequence[Member]"
    selected_strategy: str
    strategies: "Sequence[str]"
    weights: "Sequence[float]"
    confidence: float
    calibration: "Calibration | None"
    table_versions: "Mapping[str, int]"
    degraded_because: str = ""
    calendar: str = calendars.VENUE

    @classmethod
    def of(cls, row: "Row", members: "Sequence[Member]") -> Self:
        """Build the terms from the inputs of a forecast."""
        return cls(
            members,
            row.selected_strategy,
            row.strategies,
            row.weights,
            row.confidence,
            row.calibration,
            row.table_versions,
            str(row.degraded or ""),
            row.served.calendar,
        )


def compose(row: "Mapping[str, Any]", terms: AnswerTerms) -> api.PredictAnswer:
    """Compose the answer that follows from a row of `forecasts`.

    Raises
    ------
    ValueError
        If the row is no forecast: a number is missing, or a price is not positive.
    """
    p10, p50, p90, horizon = row["p10"], row["p50"], row["p90"], row["horizon_sessions"]
    calibration = terms.calibration
    ahead = horizon_of(horizon, interval_of(terms.calendar))
    age = calendars.count_closes(row["event_time"], row["known_time"], terms.calendar)
    direction, sure = direction_of(p50), confidence(p10, p50, p90, trust=trust_of(calibration, horizon))
    return api.PredictAnswer(
        prediction_id=row["forecast_id"],
        symbol=row["symbol"],
        as_of=row["event_time"],
        made_at=row["made_at"],
        prediction=api.Prediction(
            target_price=target_price(row["reference_price"], p50),
            reference_price=row["reference_price"],
            price_basis=row["price_basis"],
            currency=row["currency"],
            target_session=row["target_session"],
            expected_return=p50,
            p10=p10,
            p50=p50,
            p90=p90,
            direction=direction,
            confidence=sure,
            outlook=api.outlook_of(direction, sure),
            is_calibrated=calibration is not None and calibration.knows(horizon),
            coverage_target=COVERAGE_TARGET,
            **{ahead.member: ahead.n},
            regime=row["regime"],
        ),
        strategy=_strategy(terms.selected_strategy, tuple(terms.strategies), tuple(terms.weights), terms.confidence),
        model=_model(tuple(terms.members)),
        data=api.Data(
            feature_table_versions=dict(sorted(terms.table_versions.items())),
            feature_hash=row["feature_hash"],
            age_sessions=age,
            is_stale=age > 0,
            is_degraded=row["degraded"],
            degraded_because=terms.degraded_because,
        ),
    )


@lru_cache(maxsize=1_024)
def _strategy(
    selected: str, strategies: tuple[str, ...], weights: tuple[float, ...], confidence: float
) -> api.Strategy:
    """Return the part that all answers under one strategy share."""
    return api.Strategy(
        selected_strategy=selected,
        parameter_weights=dict(zip(strategies, weights, strict=True)),
        heuristic_confidence=confidence,
    )


@lru_cache(maxsize=1_024)
def _model(members: tuple[Member, ...]) -> api.Model:
    """Return the part that all answers by the same models share."""
    model = name_blend(members)
    return api.Model(
        name=model.name,
        version=model.version,
        digest=model.digest,
        members=[api.ModelPart(**member._asdict()) for member in members],
    )


def versions_text(versions: "Mapping[str, int]") -> str:
    """Return table versions as the table `forecasts` keeps them."""
    return json.dumps(dict(versions), sort_keys=True)
