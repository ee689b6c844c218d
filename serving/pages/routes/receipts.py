"""The page of a receipt."""

from typing import TYPE_CHECKING

from lake.errors import UnknownNameError
from serving import history
from serving.pages.routes.frame import Visit
from serving.pages.views.receipt import receipt_view

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.api.receipts import ReceiptAnswer


def show(request: "Request") -> "Response":
    """Show what a forecast was made from, as the endpoint tells it."""
    visit = Visit.of(request)
    receipt = visit.client.receipt(request.path_params["prediction_id"])
    made = visit.tables
    bars = _bars_ahead(visit, receipt)
    model = receipt.models[0].name if receipt.kind == "replay" and receipt.models else None
    record = history.calibration_of(made, receipt.symbol, bars, visit.as_of.instant, model=model)
    return visit.page("receipt.html", "Receipt", receipt=receipt_view(receipt, record, bars), horizon=bars)


def _bars_ahead(visit: Visit, receipt: "ReceiptAnswer") -> int:
    """Return the horizon of a receipt as the tables count it."""
    told = {"horizon_sessions": receipt.horizon_sessions, "horizon_minutes": receipt.horizon_minutes}
    market = visit.dashboard.market
    for bars in market.horizon_bars:
        ahead = market.horizon_of(bars)
        if told.get(ahead.member) == ahead.n:
            return bars
    raise UnknownNameError("horizon", str(told), [str(bars) for bars in market.horizon_bars])
