"""Routes that look up what was said before."""

from fastapi import FastAPI, Request, Response

from lake.errors import UnknownNameError
from serving import api
from serving.routes.forecasts import JSON, PREFIX


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.get(f"{PREFIX}/predictions/{{prediction_id}}", response_model=api.PredictAnswer, tags=["forecasts"])
    def look_up(prediction_id: str, request: Request) -> Response:
        """Return an earlier answer, byte for byte as it was sent."""
        found = request.app.state.predictor.logged.get(prediction_id)
        if found is None or found.kind == "shadow":
            raise UnknownNameError("prediction", prediction_id[:64], [])
        return Response(found.answer, media_type=JSON)
