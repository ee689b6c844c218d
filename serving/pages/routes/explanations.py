"""Why a forecast is what it is, and what it would be with other inputs: asked of the endpoint in the visitor's name."""

from functools import partial
from typing import TYPE_CHECKING, get_args

from pydantic import ValidationError

from lake.errors import ImpossibleChangeError
from serving import history
from serving.api.explanations import (
    BarChange,
    CounterfactualRequest,
    Depth,
    FlipSearch,
    Grain,
    Quantity,
    Scenario,
    Sweep,
)
from serving.pages.routes.forms import one_of
from serving.pages.routes.frame import Visit
from serving.pages.routes.newest_forecast import newest_forecast
from serving.pages.views import why as views
from serving.pages.views.panels import panel_of
from serving.pages.views.scenario import ScenarioView, scenario_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from serving.api.explanations import ExplanationAnswer

QUANTILES: tuple[Quantity, ...] = get_args(Quantity)
GRAINS: tuple[Grain, ...] = get_args(Grain)
DEPTHS: tuple[Depth, ...] = get_args(Depth)
CLOSE, VOLUME = "close_change", "volume_ratio"
"""Fields of the form of another last bar: change of the close in percent, and volume by the true one."""
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
    bar = {name: asked.get(name, "").strip() for name in (CLOSE, VOLUME)}
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
        bar=bar,
        scenario=panel_of(partial(_scenario, visit, forecast_id, bar)) if any(bar.values()) else None,
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


def _scenario(visit: Visit, forecast_id: str, bar: "Mapping[str, str]") -> ScenarioView:
    question = CounterfactualRequest(prediction_id=forecast_id, scenario=Scenario(bar=bar_of(bar)))
    return scenario_view(visit.client.what_if(question))


def bar_of(fields: "Mapping[str, str]") -> BarChange:
    """Return the bar that a form asks for; a field that is empty leaves the bar as it was.

    Raises
    ------
    ImpossibleChangeError
        If a field is no number, or no bar can be so.

    Examples
    --------
    >>> bar_of({"close_change": "-3", "volume_ratio": ""})
    BarChange(close_change=-0.03, volume_ratio=1.0, range_ratio=1.0)
    """
    changes: dict[str, float] = {}
    try:
        if close := fields[CLOSE]:
            changes[CLOSE] = round(float(close.removesuffix("%")) / 100, 12)
        if volume := fields[VOLUME]:
            changes[VOLUME] = float(volume)
        return BarChange(**changes)
    except (ValueError, ValidationError):
        raise ImpossibleChangeError(
            f"The close is to change by '{fields[CLOSE][:20]}' percent and the volume by the factor "
            f"'{fields[VOLUME][:20]}'. Expected numbers: a change above -100 and at most 1,000, e.g. -3, and a factor "
            "from 0 to 1,000, e.g. 2. A field that is left empty changes nothing."
        ) from None
