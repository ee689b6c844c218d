"""History routes: bars, forecasts, outcomes and their record for a symbol, as they were known at an instant."""

from typing import Annotated

from fastapi import FastAPI, Query, Request, Response

from serving import api
from serving.history import accuracy_of, bars_of, calibration_of, forecasts_of, outcomes_of
from serving.web.asked_names import told
from serving.web.history_questions import AccuracyQuery, AheadQuery, BarsQuery, ForecastsQuery, HistoryQuestion
from serving.web.routes.forecasts import JSON, PREFIX
from serving.web.routes.lookups import PathSymbol


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.get(f"{PREFIX}/bars/{{symbol}}", response_model=api.BarsAnswer, tags=["history"])
    def bars(symbol: PathSymbol, asked: Annotated[BarsQuery, Query()], request: Request) -> Response:
        """Return bars of a symbol, adjusted and as traded, in the form that was known then."""
        one = HistoryQuestion(request.app, symbol, asked)
        return _answer(one, bars_of(one.tables, one.symbol, one.at, span=one.span(asked), page=asked.page))

    @app.get(f"{PREFIX}/forecasts/{{symbol}}", response_model=api.ForecastsAnswer, tags=["history"])
    def forecasts(symbol: PathSymbol, asked: Annotated[ForecastsQuery, Query()], request: Request) -> Response:
        """Return forecasts of a symbol over one horizon that had been made by then."""
        one = HistoryQuestion(request.app, symbol, asked)
        horizon, model, span = one.horizon(asked), one.model(asked), one.span(asked)
        found = forecasts_of(one.tables, one.symbol, horizon, one.at, model=model, span=span, page=asked.page)
        return _answer(one, found)

    @app.get(f"{PREFIX}/outcomes/{{symbol}}", response_model=api.OutcomesAnswer, tags=["history"])
    def outcomes(symbol: PathSymbol, asked: Annotated[ForecastsQuery, Query()], request: Request) -> Response:
        """Return the matured forecasts of a symbol beside what happened, if the outcome was known by then."""
        one = HistoryQuestion(request.app, symbol, asked)
        horizon, model, span = one.horizon(asked), one.model(asked), one.span(asked)
        found = outcomes_of(one.tables, one.symbol, horizon, one.at, model=model, span=span, page=asked.page)
        return _answer(one, found)

    @app.get(f"{PREFIX}/calibration/{{symbol}}", response_model=api.CalibrationAnswer, tags=["history"])
    def calibration(symbol: PathSymbol, asked: Annotated[AheadQuery, Query()], request: Request) -> Response:
        """Return how often the bands of a symbol had held by then, and what was gained on naive, by regime."""
        one = HistoryQuestion(request.app, symbol, asked)
        horizon, model = one.horizon(asked), one.model(asked)
        return _answer(one, calibration_of(one.tables, one.symbol, horizon, one.at, model=model))

    @app.get(f"{PREFIX}/accuracy/{{symbol}}", response_model=api.AccuracyAnswer, tags=["history"])
    def accuracy(symbol: PathSymbol, asked: Annotated[AccuracyQuery, Query()], request: Request) -> Response:
        """Return each forecast of a symbol beside what came by then, with the record by regime and by quarter."""
        one = HistoryQuestion(request.app, symbol, asked)
        horizon, model = one.horizon(asked), one.model(asked)
        return _answer(one, accuracy_of(one.tables, one.symbol, horizon, one.at, model=model, page=asked.page))


def _answer(question: HistoryQuestion, found: api.SymbolAnswer) -> Response:
    """Text of an answer, with what is told of a former name; its values were validated when it was made."""
    return Response(told(found.model_dump_json(), question.name), media_type=JSON)
