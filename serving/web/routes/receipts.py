"""Receipt route."""

from fastapi import FastAPI, Request

from lake.errors import UnknownNameError
from serving.api.receipts import ReceiptAnswer
from serving.forecasts import VISIBLE
from serving.replay import receipt_of
from serving.web.routes.forecasts import PREFIX
from serving.web.routes.lookups import require_id


def add_routes(app: FastAPI) -> None:
    """Add it to an application."""

    @app.get(f"{PREFIX}/predictions/{{prediction_id}}/receipt", tags=["forecasts"])
    def receipt(prediction_id: str, request: Request) -> ReceiptAnswer:
        """Say what a forecast was made from: table versions and rows, features, models, strategy, engine and code."""
        require_id(prediction_id)
        lake, configured = request.app.state.latest.lake, request.app.state.predictor.logged.configured
        found = receipt_of(lake, configured, prediction_id)
        if found.kind not in VISIBLE:  # a challenger's forecasts are looked at by operators, and never answered
            raise UnknownNameError("prediction", prediction_id, [])
        return found
