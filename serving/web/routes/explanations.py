"""Explanation routes: contributions to a stored forecast, and forecasts of changed inputs."""

from fastapi import FastAPI, Request

from lake.errors import UnknownNameError
from serving.api.explanations import CounterfactualAnswer, CounterfactualRequest, ExplainRequest, ExplanationAnswer
from serving.explain import ExplanationKey, counterfactual_answer, explanation_answer
from serving.web.explaining import changed, explained
from serving.web.routes.forecasts import PREFIX
from serving.web.routes.lookups import IDENTIFIER


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.post(f"{PREFIX}/explain/prediction", tags=["explanations"])
    async def explain_prediction(body: ExplainRequest, request: Request) -> ExplanationAnswer:
        """Split a stored forecast into contributions of its features, by the engines that made it."""
        state = request.app.state
        key = ExplanationKey(_known(body.prediction_id), body.method, body.explanation_type, body.grain)
        explanation, is_cached = await explained(state, key)
        return explanation_answer(explanation, body.quantile, state.predictor.market, is_cached=is_cached)

    @app.post(f"{PREFIX}/explain/counterfactual", tags=["explanations"])
    async def explain_counterfactual(body: CounterfactualRequest, request: Request) -> CounterfactualAnswer:
        """Forecast a changed input: named changes, a sweep along the training range, the smallest one that turns it."""
        state = request.app.state
        _known(body.prediction_id)
        found, is_cached = await changed(state, body)
        return counterfactual_answer(found, state.predictor.market, is_cached=is_cached)


def _known(prediction_id: str) -> str:
    """Return an id that a forecast may have; for another one neither log nor lake is asked."""
    if not IDENTIFIER.fullmatch(prediction_id):
        raise UnknownNameError("prediction", prediction_id, [])
    return prediction_id
