"""Why a forecast is what it is, and what it would be with other inputs: asked of the endpoint in the visitor's name."""

from functools import partial
from typing import TYPE_CHECKING, get_args

from serving import history
from serving.api.explanations import CounterfactualRequest, Depth, FlipSearch, Grain, Quantity, Sweep
from serving.pages.routes.forms import one_of
from serving.pages.routes.frame import Visit
from serving.pages.routes.newest_forecast import newest_forecast
from serving.pages.views import why as views
from serving.pages.views.panels import panel_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.api.explanations import ExplanationAnswer

QUANTILES: tuple[Quantity, ...] = get_args(Quantity)
GRAINS: tuple[Grain, ...] = get_args(Grain)
DEPTHS: tuple[Depth, ...] = get_args(Depth)
SWEPT = 8
"""Features that can be moved: those that contribute most."""


def show(request: "Request") -> "Response":
    """Show contributions to the newest forecast that was known, and forecasts along the range of the largest ones."""
    visit = Visit.of(request)
    symbol, asked = request.path_params["symbol"], request.query_params
    quantile = one_of("quantile", asked.get("quantile", "p50"), QUANTILES)
    grain = one_of("grain", asked.get("grain", "feature"), GRAINS)
    depths = DEPTHS[1:] if grain == "session_block" else DEPTHS
    depth = one_of("depth", asked.get("depth", depths[0]), DEPTHS)
    forecast_id = newest_forecast(visit, symbol).forecast_id
    ask = partial(visit.client.explain, forecast_id, quantile=quantile, explanation_type=depth, grain=grain)
    why = panel_of(ask)
    answer = why.shown
    return visit.page(
        "why.html",
        f"{symbol}: why",
        symbol=symbol,
        quantile=quantile,
        quantiles=QUANTILES,
        grain=grain,
        grains=GRAINS,
        depth=depth,
        depths=depths,
        forecast_id=forecast_id,
        state=why,
        why=None if answer is None else views.why_view(answer),
        what_if=None if answer is None or grain != "feature" else panel_of(partial(_what_if, visit, symbol, answer)),
        flip=panel_of(partial(_flip, visit, forecast_id)) if asked.get("find") == "direction" else None,
    )


def _what_if(visit: Visit, symbol: str, answer: "ExplanationAnswer") -> views.WhatIfView:
    contributions = answer.explanation.local_explanation.feature_contributions
    largest = sorted(contributions, key=lambda each: -abs(each.contribution))[:SWEPT]
    sweep = Sweep(features=[each.feature for each in largest if each.contribution] or [largest[0].feature])
    told = visit.client.what_if(CounterfactualRequest(prediction_id=answer.prediction_id, sweep=sweep))
    record = history.calibration_of(visit.tables, symbol, visit.horizon, visit.as_of.instant)
    return views.what_if_view(told, record)


def _flip(visit: Visit, forecast_id: str) -> views.FlipView:
    question = CounterfactualRequest(prediction_id=forecast_id, find=FlipSearch(flip="direction"))
    return views.flip_view(visit.client.what_if(question))
