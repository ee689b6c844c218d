"""A forecast in words, written by a job of the endpoint in the visitor's name."""

from functools import partial
from typing import TYPE_CHECKING, get_args

from lake.errors import NotReadyError
from serving.api import WrittenDepth
from serving.pages.routes.forms import one_of
from serving.pages.routes.frame import Visit
from serving.pages.routes.newest_forecast import newest_forecast
from serving.pages.views.panels import panel_of
from serving.pages.views.words import WordsView, words_view

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

DEPTHS: tuple[WrittenDepth, ...] = get_args(WrittenDepth)


def show(request: "Request") -> "Response":
    """Show the newest forecast that was known in words; the same question within five minutes has the same text."""
    visit = Visit.of(request)
    symbol = request.path_params["symbol"]
    depth = one_of("depth", request.query_params.get("depth", "fast"), DEPTHS)
    forecast_id = newest_forecast(visit, symbol).forecast_id
    job = panel_of(lambda: visit.client.ask_in_words(symbol, depth=depth, prediction_id=forecast_id).job_id)
    return visit.page(
        "words.html",
        f"{symbol}: in words",
        symbol=symbol,
        depth=depth,
        depths=DEPTHS,
        forecast_id=forecast_id,
        job=job,
        words=job if job.shown is None else panel_of(partial(_written, visit, job.shown)),
    )


def _written(visit: Visit, job_id: str) -> WordsView:
    """Wait for the first text, the template's; a language model's may replace it while the page is read."""
    client = visit.client
    for event in client.follow_words(job_id):
        if event.event in {"sentence", "completed"}:
            break
    view = words_view(client.in_words(job_id))
    if view is None:
        raise NotReadyError("The text is still being written. Reload the page in a moment.")
    return view
