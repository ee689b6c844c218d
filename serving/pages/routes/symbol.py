"""The page of a symbol: price and forecasts, the forecast in force, past accuracy, features."""

from functools import partial
from typing import TYPE_CHECKING

from lake import calendars
from lake.errors import NotReadyError, QuantlakeError, UnknownNameError
from lake.horizon_ends import bars_spanned, horizon_ends
from lake.membership import universe_at
from serving import history
from serving.pages import formats
from serving.pages.routes.advice import TOLERANCES
from serving.pages.routes.frame import Visit
from serving.pages.routes.newest_forecast import newest_forecast
from serving.pages.routes.watch_list import own_symbols
from serving.pages.views import symbol as views
from serving.pages.views.accuracy import AccuracyView, accuracy_view
from serving.pages.views.chart import PriceChart, price_chart
from serving.pages.views.panels import Panel, panel_of

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from serving.api import BarsAnswer, CalibrationAnswer

BARS, POINTS, OUTCOMES = 750, 500, 20
"""Bars of the chart and of its table, points of the scatter and of its table, and outcomes listed with receipts."""


def show(request: "Request") -> "Response":
    """Show a symbol as it was known at the instant that is looked back to."""
    visit = Visit.of(request)
    symbol = request.path_params["symbol"]
    tables, at, horizon = visit.tables, visit.as_of.instant, visit.horizon
    bars = history.bars_of(tables, symbol, at, page=history.RowsPage(limit=BARS))
    if not bars.bars:
        raise _unknown(visit, symbol)
    (row,) = history.watch_list(tables, [symbol], horizon, at)
    record = history.calibration_of(tables, symbol, horizon, at)
    head, model = views.symbol_head(row), _model(visit)
    return visit.page(
        "symbol.html",
        symbol,
        symbol=symbol,
        head=head,
        model=model,
        chart=panel_of(partial(_chart, visit, symbol, bars, model)),
        bars=views.bar_lines(bars.bars),
        currency=bars.currency or "",
        card=_card(visit, head, record),
        accuracy=panel_of(partial(_accuracy, visit, symbol, record)),
        came=panel_of(partial(_came, visit, symbol, model)),
        outcomes=_outcomes(visit, symbol, model, record),
        tolerances=TOLERANCES,
        is_followed=panel_of(lambda: symbol in own_symbols(visit)),
        features=panel_of(lambda: views.feature_panel(history.features_of(tables, symbol, at))),
    )


def _unknown(visit: Visit, symbol: str) -> QuantlakeError:
    """Return why nothing of a symbol is shown: there is none, or nothing of it was known then."""
    now = visit.dashboard.now()
    if history.bars_of(visit.tables, symbol, now, page=history.RowsPage(limit=1)).bars:
        at = formats.instant(visit.as_of.instant)
        return NotReadyError(f"No bar of {symbol} was known at {at}. Look at a later session, or live.")
    known = universe_at(visit.tables.reader, visit.dashboard.market.name, now)
    return UnknownNameError("symbol", symbol[:40], known)


def _chart(visit: Visit, symbol: str, bars: "BarsAnswer", model: str | None) -> PriceChart:
    tables, at, horizon = visit.tables, visit.as_of.instant, visit.horizon
    page = history.RowsPage(limit=BARS)
    forecasts = history.forecasts_of(tables, symbol, horizon, at, model=model, page=page).forecasts
    outcomes = history.outcomes_of(tables, symbol, horizon, at, model=model, page=page).outcomes
    ends = _ends(bars.bars[0].event_time, bars.bars[-1].event_time, horizon, visit.dashboard.market.grid)
    whose = views.ANSWERED if model is None else f"{model}, walk-forward"
    return price_chart(bars.bars, forecasts, outcomes, ends, whose)


def _ends(first: "datetime", last: "datetime", horizon: int, grid: str) -> "dict[datetime, datetime]":
    """Return the close at which a horizon ends, by each close that it may begin at."""
    beyond = calendars.next_closes(last, bars_spanned(horizon, grid).most, grid)[-1]
    closes = calendars.numbered_closes(first, beyond, grid)["event_time"]
    pairs = zip(closes, horizon_ends(closes, horizon, grid), strict=True)
    return {begin: end for begin, end in pairs if end is not None}


def _card(visit: Visit, head: views.SymbolHead, record: "CalibrationAnswer") -> Panel[views.ForecastCard]:
    """Return the newest forecast: of the endpoint where the page is live, else of the tables."""
    try:
        forecast = newest_forecast(visit, head.symbol)
    except NotReadyError as error:
        return Panel(None, "empty", str(error))
    card = partial(views.forecast_card, forecast, record)
    if not visit.as_of.is_live:
        return Panel(card(None))
    try:
        answered = visit.client.prediction(forecast.forecast_id)
    except QuantlakeError as error:
        return Panel(card(None), "degraded", f"The endpoint does not tell its confidence: {error}")
    if head.is_stale:
        note = f"The last bar is of {head.session}, {head.age} ago: the forecast knows nothing since."
        return Panel(card(answered), "stale", note)
    if forecast.is_degraded:
        return Panel(card(answered), "degraded", "It was made while the online store did not answer, from a copy.")
    return Panel(card(answered))


def _accuracy(visit: Visit, symbol: str, record: "CalibrationAnswer") -> "tuple[views.AccuracyLine, ...]":
    tables, at = visit.tables, visit.as_of.instant
    each = [history.calibration_of(tables, symbol, visit.horizon, at, model=name) for name in visit.models]
    told = history.accuracy_of(tables, symbol, visit.horizon, at)
    return views.accuracy_lines(record, each, told.overall if told.record == "in_replay" else None)


def _came(visit: Visit, symbol: str, model: str | None) -> AccuracyView:
    """Return what came of one model's replays, or of the answered forecasts; of the blend's replays until these do."""
    tables, at, page = visit.tables, visit.as_of.instant, history.RowsPage(limit=POINTS)
    return accuracy_view(history.accuracy_of(tables, symbol, visit.horizon, at, model=model, page=page))


def _outcomes(
    visit: Visit, symbol: str, model: str | None, record: "CalibrationAnswer"
) -> "tuple[views.OutcomeLine, ...]":
    """Return the last outcomes of one model's replays, or of the answered forecasts, whose record is given."""
    tables, at, horizon = visit.tables, visit.as_of.instant, visit.horizon
    page = history.RowsPage(limit=OUTCOMES)
    found = history.outcomes_of(tables, symbol, horizon, at, model=model, page=page)
    if model is not None:
        record = history.calibration_of(tables, symbol, horizon, at, model=model)
    return views.outcome_lines(found.outcomes, record)


def _model(visit: Visit) -> str | None:
    """Return whose past bands are shown: one model's replays, or the forecasts that were answered."""
    name = visit.request.query_params.get("model") or None
    if name is not None and name not in visit.models:
        raise UnknownNameError("model", name[:40], visit.models)
    return name
