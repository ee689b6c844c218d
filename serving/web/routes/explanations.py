"""Explanation routes: contributions to a stored forecast, and forecasts of changed inputs."""

from fastapi import FastAPI, Request, Response

from serving.api.attention import AttentionAnswer
from serving.api.explanations import CounterfactualAnswer, CounterfactualRequest, ExplainRequest, ExplanationAnswer
from serving.explain.worker import EXPLAIN, WHAT_IF
from serving.web.explaining import explanations_of
from serving.web.routes.forecasts import JSON, PREFIX
from serving.web.routes.lookups import require_id


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.post(f"{PREFIX}/explain/prediction", response_model=ExplanationAnswer | AttentionAnswer, tags=["explanations"])
    async def explain_prediction(body: ExplainRequest, request: Request) -> Response:
        """Split a stored forecast into contributions of its features, or say where its networks looked."""
        require_id(body.prediction_id)
        return Response(await explanations_of(request.app.state).ask(EXPLAIN, body), media_type=JSON)

    @app.post(f"{PREFIX}/explain/counterfactual", response_model=CounterfactualAnswer, tags=["explanations"])
    async def explain_counterfactual(body: CounterfactualRequest, request: Request) -> Response:
        """Forecast a changed input: named changes, a sweep along the training range, the smallest one that turns it."""
        require_id(body.prediction_id)
        return Response(await explanations_of(request.app.state).ask(WHAT_IF, body), media_type=JSON)
