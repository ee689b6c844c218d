"""Look-ups for operators: stored forecasts of any kind, with latency, engines and the way to the receipt."""

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request

from lake.errors import UnknownNameError
from serving import api
from serving.forecast_log import for_operators
from serving.web.routes.lookups import IDENTIFIER

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "/api/v1/internal/predictions"


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.get(f"{PREFIX}/{{prediction_id}}", tags=["operators"])
    def operator_prediction(prediction_id: str, request: Request) -> api.OperatorForecast:
        """Return a stored forecast of any kind with its latency, the engines that computed it and its receipt."""
        found = _found(request, [prediction_id])
        if prediction_id not in found:
            raise UnknownNameError("prediction", prediction_id[:64], [])
        return found[prediction_id]

    @app.post(f"{PREFIX}/batch", tags=["operators"])
    def operator_predictions(body: api.LookUpRequest, request: Request) -> api.LookUpAnswer:
        """Look up to 100 stored forecasts up at once; ids of which none is stored are listed apart."""
        asked = list(dict.fromkeys(body.prediction_ids))
        found = _found(request, asked)
        return api.LookUpAnswer(
            predictions=[found[each] for each in asked if each in found],
            unknown=[each for each in asked if each not in found],
        )


def _found(request: Request, ids: "Sequence[str]") -> dict[str, api.OperatorForecast]:
    """Forecasts of those ids that look like one."""
    state = request.app.state
    likely = [each for each in ids if IDENTIFIER.fullmatch(each)]
    return for_operators(state.latest.lake, state.predictor.logged, likely) if likely else {}
