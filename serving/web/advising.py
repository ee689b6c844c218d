"""Recommendations of the endpoint: a forecast, what is known beside it, the decision, and its row on disk."""

import asyncio
import time
from typing import TYPE_CHECKING

from anyio import to_thread

from feature_repo.catalog import TECHNICAL
from lake import calendars
from lake.errors import QuantlakeError
from serving import api
from serving.advice import (
    AdviceQuestion,
    AdviceReasons,
    AdvisedForecast,
    BookContext,
    Occasion,
    SwitchGate,
    advise,
    answer_of,
    flip_because,
    limits_of,
    paper_costs,
    record_of,
    records_of,
    row_of,
    smallest_flip,
    usable_range,
)
from serving.api.explanations import CounterfactualRequest, Sweep
from serving.explain.worker import SHORT, WHAT_IF, AboutForecast
from serving.monitoring import metrics
from serving.recommendation_log import log_recommendation
from serving.web.explaining import explanations_of

if TYPE_CHECKING:
    from starlette.datastructures import State

    from serving.advice import Flip
    from serving.api.explanations import FeatureSweep

REASONS_SECONDS = 1.5
"""Longest that an answer waits for contributions and the change that flips it; it is given without them then."""


async def recommended(
    state: "State", answer: api.PredictAnswer, horizon: int, context: api.PortfolioContext, key_id: str
) -> api.RecommendAnswer:
    """Return a recommendation that rests on a forecast; it is on disk when this returns.

    Parameters
    ----------
    answer
        The forecast, which is on disk already.
    horizon
        Bars ahead.
    key_id
        API key of who asks.

    Raises
    ------
    LogError
        If it cannot be stored; it is not given then.
    """
    started = time.perf_counter()
    question = await to_thread.run_sync(question_of, state, answer, horizon, context)
    advice = advise(question)
    reasons = await _reasons(state, question)
    now = state.predictor.clock.now()
    told = answer_of(question, advice, reasons, Occasion(state.predictor.market, now, context))
    await to_thread.run_sync(_store, state, question, told, key_id)
    metrics.RECOMMENDATIONS.labels(advice.action, advice.reason).inc()
    metrics.RECOMMENDATION_SECONDS.observe(time.perf_counter() - started)
    return told


def question_of(
    state: "State", answer: api.PredictAnswer, horizon: int, context: api.PortfolioContext
) -> AdviceQuestion:
    """Return everything that the advice follows from; it reads tables, so it runs in a thread."""
    predictor, tables = state.predictor, state.history
    said = answer.prediction
    row = predictor.online.row(TECHNICAL.name, answer.symbol)
    value = None if row is None else row.values.get("atr_relative")
    record = record_of(tables, horizon, predictor.clock.now(), said.confidence)
    is_traded = said.price_basis in {None, "as_traded"}
    forecast = AdvisedForecast(
        forecast_id=answer.prediction_id,
        symbol=answer.symbol,
        as_of=answer.as_of,
        horizon_bars=horizon,
        p10=said.p10,
        p50=said.p50,
        p90=said.p90,
        confidence=said.confidence,
        reference_price=said.reference_price if is_traded else None,
        is_calibrated=said.is_calibrated,
        age_bars=answer.data.age_sessions,
        is_degraded=answer.data.is_degraded,
        atr=usable_range(value if isinstance(value, float) else None),
        bars_per_year=calendars.bars_per_year(predictor.market.grid),
    )
    book = BookContext(context.current_position, context.equity, context.risk_tolerance)
    gate = SwitchGate(predictor.logged.configured.home).read(answer.symbol)
    return AdviceQuestion(forecast, book, record, paper_costs(), limits_of(context.risk_tolerance), gate)


def _store(state: "State", question: AdviceQuestion, told: api.RecommendAnswer, key_id: str) -> None:
    row = row_of(question, told, state.predictor.clock.now())
    log_recommendation(state.predictor.logged.configured, row, key_id=key_id)


async def _reasons(state: "State", question: AdviceQuestion) -> AdviceReasons:
    """Return what the engines say beside the forecast, or why they do not; the answer never waits longer."""
    about, deadline = question.forecast.forecast_id, time.monotonic() + REASONS_SECONDS
    try:
        text = await asyncio.wait_for(
            explanations_of(state).ask(SHORT, AboutForecast(prediction_id=about)), REASONS_SECONDS
        )
        features = SHORT.answered.validate_json(text).top_features
    except (QuantlakeError, TimeoutError) as error:
        because = _why(error)
        return AdviceReasons(no_contributions_because=because, no_flip_because=because)
    parts = tuple((each.name, each.contribution) for each in features)
    if (because := flip_because(advise(question))) or not parts:
        return AdviceReasons(parts, no_flip_because=because or "no feature contributes to this forecast")
    sweep = CounterfactualRequest(prediction_id=about, sweep=Sweep(features=[name for name, _ in parts]))
    try:
        left = max(deadline - time.monotonic(), 0.0)
        text = await asyncio.wait_for(explanations_of(state).ask(WHAT_IF, sweep), left)
    except (QuantlakeError, TimeoutError) as error:
        return AdviceReasons(parts, no_flip_because=_why(error))
    sweeps = WHAT_IF.answered.validate_json(text).sweeps
    flip = await to_thread.run_sync(_flip, state, question, sweeps)
    return AdviceReasons(parts, flip=flip, no_flip_because="" if flip else flip_because(None))


def _flip(state: "State", question: AdviceQuestion, sweeps: "list[FeatureSweep]") -> "Flip | None":
    records = records_of(state.history, question.forecast.horizon_bars, state.predictor.clock.now())
    return smallest_flip(question, sweeps, records)


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"the explanation process did not answer within {REASONS_SECONDS:g} s; `quantlake explain` asks it again"
    return str(error)
