"""The recommendation as it is answered, and its row in the table `recommendations`."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lake import calendars
from serving import api
from serving.advice.wording import reasoning_of, record_sentence, risk_notes

if TYPE_CHECKING:
    from lake.market import Market
    from serving.advice.advising import Advice
    from serving.advice.asked import AdviceQuestion
    from serving.advice.flips import Flip

TOP = 5
"""Features that are told."""


@dataclass(frozen=True)
class AdviceReasons:
    """What the engines said beside the forecast.

    Parameters
    ----------
    contributions
        Feature and contribution to the median, the largest first.
    no_contributions_because, no_flip_because
        Why one is missing; empty where it is there.
    flip
        The smallest change that changes the action.
    """

    contributions: tuple[tuple[str, float], ...] = ()
    no_contributions_because: str = ""
    flip: "Flip | None" = None
    no_flip_because: str = ""


@dataclass(frozen=True)
class Occasion:
    """When and for whom a recommendation is made.

    Parameters
    ----------
    market
        Whose horizons and closes are named.
    now
        Market time.
    context
        The book as it was asked.
    made_at
        Wall-clock time.
    """

    market: "Market"
    now: datetime
    context: api.PortfolioContext
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def answer_of(
    asked: "AdviceQuestion", advice: "Advice", reasons: AdviceReasons, occasion: Occasion
) -> api.RecommendAnswer:
    """Return the answer of the endpoint."""
    forecast, market = asked.forecast, occasion.market
    ahead = market.horizon_of(forecast.horizon_bars)
    ahead_of: dict[str, Any] = {ahead.member: ahead.n}
    return api.RecommendAnswer(
        prediction_id=forecast.forecast_id,
        symbol=forecast.symbol,
        as_of=forecast.as_of,
        made_at=occasion.made_at,
        reference_price=forecast.reference_price,
        currency=market.currency,
        portfolio_context=occasion.context,
        recommendation=_recommendation(asked, advice, reasons, occasion),
        **ahead_of,
    )


def _recommendation(
    asked: "AdviceQuestion", advice: "Advice", reasons: AdviceReasons, occasion: Occasion
) -> api.Recommendation:
    forecast, flip = asked.forecast, reasons.flip
    (expires_at,) = calendars.next_closes(max(forecast.as_of, occasion.now), 1, occasion.market.grid)
    return api.Recommendation(
        recommendation_id=str(uuid.uuid4()),
        action=advice.action,
        reason=advice.reason,
        quantity=advice.quantity,
        target_position=advice.target_position,
        confidence=forecast.confidence,
        direction=forecast.direction,
        target_price=advice.target_price,
        stop_loss=advice.stop_loss,
        expected_return=advice.expected_return,
        loss_at_stop=advice.loss_at_stop,
        expires_at=expires_at,
        reasoning=reasoning_of(asked, advice),
        reasons=[api.AdviceContribution(feature=name, contribution=part) for name, part in reasons.contributions[:TOP]],
        no_reasons_because=reasons.no_contributions_because or None,
        sizes=[
            api.AdviceBound(name=each.name, shares=each.shares, is_binding=each.name == advice.bound_by)
            for each in sorted(advice.bounds, key=lambda bound: bound.shares)
        ],
        bound_by=advice.bound_by or None,
        risk_assessment=_risk(asked, advice),
        flips_if=None
        if flip is None
        else api.AdviceFlip.model_validate(
            {"feature": flip.feature, "from": flip.before, "to": flip.after, "action": flip.action}
        ),
        no_flip_because=reasons.no_flip_because or None,
        calibration=_calibration(asked),
        gate=api.AdviceGateRead(state=asked.gate.state, refused_by=asked.gate.refused_by or None),
    )


def _risk(asked: "AdviceQuestion", advice: "Advice") -> api.AdviceRisk:
    equity, price, target = asked.book.equity, asked.forecast.reference_price, advice.target_position
    share = None if equity is None or price is None or target is None else abs(target) * price / equity
    return api.AdviceRisk(
        loss_budget=advice.loss_budget,
        annual_volatility=advice.deviation_per_year,
        share_of_equity=share,
        position_volatility=None if share is None else share * advice.deviation_per_year,
        round_trip_cost=advice.round_trip_cost,
        whole_kelly=advice.whole_kelly,
        excess_shares=advice.excess,
        notes=risk_notes(asked, advice),
    )


def _calibration(asked: "AdviceQuestion") -> api.CallCalibration:
    record = asked.record
    return api.CallCalibration(
        source=record.source,
        bucket=record.bucket.name,
        said=record.bucket.said,
        came_true=record.bucket.came_true,
        n=record.bucket.outcomes,
        interval=record.interval,
        sentence=record_sentence(record),
    )


def row_of(asked: "AdviceQuestion", answer: api.RecommendAnswer, now: datetime) -> dict[str, Any]:
    """Return the row of an answer, as `lake.tables.RECOMMENDATIONS` declares it.

    Parameters
    ----------
    now
        Market time at which it was made.
    """
    told = answer.recommendation
    same = ("recommendation_id", "action", "reason", "quantity", "target_position", "bound_by", "direction")
    numbers = ("confidence", "expected_return", "naive_return", "target_price", "stop_loss", "loss_at_stop")
    return {name: getattr(told, name) for name in (*same, *numbers, "expires_at")} | {
        "forecast_id": answer.prediction_id,
        "symbol": answer.symbol,
        "event_time": answer.as_of,
        "known_time": max(now, answer.as_of),
        "made_at": answer.made_at,
        "horizon_sessions": asked.forecast.horizon_bars,
        "current_position": asked.book.position,
        "round_trip_cost": told.risk_assessment.round_trip_cost,
        "loss_budget": told.risk_assessment.loss_budget,
        "equity": asked.book.equity,
        "risk_tolerance": asked.book.risk_tolerance,
        "gate_state": told.gate.state,
        "is_calibrated": asked.forecast.is_calibrated,
        "age": asked.forecast.age_bars,
        "answer": answer.model_dump_json(),
    }


def answer_in(row: dict[str, Any]) -> api.RecommendAnswer:
    """Return the answer that a row holds, as it was answered."""
    return api.RecommendAnswer.model_validate(json.loads(row["answer"]), strict=False)
