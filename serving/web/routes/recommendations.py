"""Recommendation routes: what to do about a symbol, earlier recommendations of one's own, and why they are so."""

from typing import TYPE_CHECKING, Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Query, Request, Response

from lake.errors import UnknownNameError
from serving import api
from serving.advice import answer_in, horizon_for
from serving.predict import Batcher, Question, bars_ahead
from serving.recommendation_log import asker_of, recommendation_of, recommendations_asked_with
from serving.web.advising import recommended
from serving.web.asked_names import told
from serving.web.explaining_advice import explained_recommendation
from serving.web.history_questions import AsOfQuery, HistoryQuestion
from serving.web.routes.forecasts import JSON, PREFIX, asked_names_of
from serving.web.routes.lookups import is_identifier

if TYPE_CHECKING:
    from starlette.datastructures import State

    from lake.settings import Settings
    from serving.api import Caller

MOST_LISTED = 100
"""Recommendations that one answer lists: the newest."""


class RecommendationsQuery(AsOfQuery):
    """Which recommendations are listed."""

    symbol: api.Symbol


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.post(f"{PREFIX}/recommend", response_model=api.RecommendAnswer, tags=["recommendations"])
    async def recommend(body: api.RecommendRequest, request: Request) -> Response:
        """Say what to do about a symbol in a book; forecast and recommendation are on disk before they are sent."""
        (asked,) = await asked_names_of(request, [body.symbol])
        state, key_id = request.app.state, _key_of(request)
        horizon = _horizon(state, body)
        correlation_id = request.scope.get("state", {}).get("correlation_id", "")
        batcher: Batcher = state.batcher
        answers = await batcher.ask(Question([asked.symbol], horizon, key_id=key_id, correlation_id=correlation_id))
        request.state.answers = answers
        forecast = api.PredictAnswer.model_validate_json(answers.texts[0])
        found = await recommended(state, forecast, horizon, body.portfolio_context, key_id)
        return Response(told(found.model_dump_json(), asked), media_type=JSON)

    @app.get(
        f"{PREFIX}/recommendations/{{recommendation_id}}", response_model=api.RecommendAnswer, tags=["recommendations"]
    )
    async def look_up(recommendation_id: str, request: Request) -> Response:
        """Return an earlier recommendation as it was answered, to the key that asked for it or to an operator."""
        row, _ = await to_thread.run_sync(_stored, request, recommendation_id)
        return Response(row["answer"], media_type=JSON)

    @app.post(
        f"{PREFIX}/explain/recommendation", response_model=api.ExplainRecommendationAnswer, tags=["recommendations"]
    )
    async def explain_recommendation(body: api.ExplainRecommendationRequest, request: Request) -> Response:
        """Say why a stored recommendation is what it is, to the key that asked for it or to an operator."""
        answer = await to_thread.run_sync(_explained, request, body.recommendation_id)
        return Response(answer.model_dump_json(), media_type=JSON)

    @app.get(f"{PREFIX}/recommendations", response_model=api.RecommendationsAnswer, tags=["recommendations"])
    def listing(asked: Annotated[RecommendationsQuery, Query()], request: Request) -> Response:
        """List recommendations of a symbol that were asked for with the key of the request, the newest first."""
        one = HistoryQuestion(request.app, asked.symbol, asked)
        return Response(told(_listed(request, one).model_dump_json(), one.name), media_type=JSON)


def _horizon(state: "State", body: api.RecommendRequest) -> int:
    """Bars ahead: as asked, or the one of the models in service that the time horizon means."""
    market, named = state.predictor.market, (body.horizon_sessions, body.horizon_minutes)
    if named == (None, None):
        offered = state.predictor.champions.current().horizons
        return horizon_for(market, offered, body.portfolio_context.time_horizon)
    return bars_ahead(market, *named)


def _caller(request: Request) -> "Caller | None":
    caller: Caller | None = request.scope.get("state", {}).get("caller")
    return caller


def _key_of(request: Request) -> str:
    caller = _caller(request)
    return "" if caller is None else caller.key_id


def _explained(request: Request, recommendation_id: str) -> api.ExplainRecommendationAnswer:
    state = request.app.state
    row, caller = _stored(request, recommendation_id)
    return explained_recommendation(state.history.reader, row, state.predictor.clock.now(), caller)


def _stored(request: Request, recommendation_id: str) -> "tuple[dict[str, Any], Caller]":
    """Row of a stored recommendation, and who asks; to another key there is none, so that nothing is told of it."""
    state, caller = request.app.state, _caller(request)
    configured = state.predictor.logged.configured
    is_id = is_identifier(recommendation_id)
    row = recommendation_of(state.history.reader, configured, recommendation_id) if is_id else None
    if row is None or caller is None or not _may_read(configured, caller, recommendation_id):
        raise UnknownNameError("recommendation", recommendation_id[:64], [])
    return row, caller


def _may_read(configured: "Settings", caller: "Caller", recommendation_id: str) -> bool:
    """Whether it was asked for with the caller's own key; an operator reads all."""
    return caller.may("operator") or asker_of(configured, recommendation_id) == caller.key_id


def _listed(request: Request, one: HistoryQuestion) -> api.RecommendationsAnswer:
    configured = request.app.state.predictor.logged.configured
    rows = recommendations_asked_with(one.tables.reader, configured, _key_of(request))
    mine = [row for row in rows if row["symbol"] == one.symbol and row["known_time"] <= one.at]
    newest = [answer_in(row) for row in reversed(mine[-MOST_LISTED:])]
    return api.RecommendationsAnswer(symbol=one.symbol, as_of=one.at, recommendations=newest)
