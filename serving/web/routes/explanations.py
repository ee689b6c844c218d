"""Explanation routes: contributions to a stored forecast, and forecasts of changed inputs."""

from fastapi import FastAPI, Request, Response

from serving.api.attention import AttentionAnswer
from serving.api.explanations import CounterfactualAnswer, CounterfactualRequest, ExplainRequest, ExplanationAnswer
from serving.explain import ExplanationKey, attention_answer, counterfactual_answer, explanation_answer
from serving.web.explaining import changed, explained, looked_at
from serving.web.routes.forecasts import JSON, PREFIX
from serving.web.routes.lookups import require_id


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.post(f"{PREFIX}/explain/prediction", response_model=ExplanationAnswer | AttentionAnswer, tags=["explanations"])
    async def explain_prediction(body: ExplainRequest, request: Request) -> Response:
        """Split a stored forecast into contributions of its features, or say where its networks looked."""
        state = request.app.state
        prediction_id, market = require_id(body.prediction_id), state.predictor.market
        answer: ExplanationAnswer | AttentionAnswer
        if body.method == "attention":
            attention, is_cached = await looked_at(state, prediction_id)
            answer = attention_answer(attention, market, is_cached=is_cached)
        else:
            key = ExplanationKey(prediction_id, body.method, body.explanation_type, body.grain)
            explanation, is_cached = await explained(state, key)
            answer = explanation_answer(explanation, body.quantile, market, is_cached=is_cached)
        return Response(answer.model_dump_json(), media_type=JSON)

    @app.post(f"{PREFIX}/explain/counterfactual", response_model=CounterfactualAnswer, tags=["explanations"])
    async def explain_counterfactual(body: CounterfactualRequest, request: Request) -> Response:
        """Forecast a changed input: named changes, a sweep along the training range, the smallest one that turns it."""
        state = request.app.state
        require_id(body.prediction_id)
        found, is_cached = await changed(state, body)
        answer = counterfactual_answer(found, state.predictor.market, is_cached=is_cached)
        return Response(answer.model_dump_json(), media_type=JSON)
