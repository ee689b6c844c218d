"""Routes for a desk such as OpenBB Workspace: the list of panels, and their rows as flat JSON; see docs/workspace.md.

They exist only where a setting names the web pages that may ask, since nobody else reads them.
"""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import Field, model_validator

from lake.membership import universe_at
from serving import api
from serving.access import Rule, watch_lists
from serving.api import Symbol
from serving.history import bars_of, calibration_of, forecasts_of, instant_as_of, outcomes_of, watch_list
from serving.importance import newest_importance
from serving.predict import bars_asked
from serving.web.history_questions import AheadQuery, HistoryQuestion, RowsQuery
from serving.web.routes.importance import measured_feature
from serving.web.widget_panels import PANELS, ROOT, widgets_of

if TYPE_CHECKING:
    from datetime import datetime

    from serving.predict import Predictor

LIST = "/widgets.json"
RULES = (
    Rule("GET", LIST, "read"),
    Rule("GET", f"{ROOT}/symbols", "read"),
    *(Rule("GET", f"{ROOT}/{panel.name}", "read") for panel in PANELS),
)
WidgetRow = dict[str, Any]


class PanelQuery(AheadQuery):
    """What a desk asks of a panel; a field that is left empty counts as left out."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if value != ""}


class SymbolPanelQuery(RowsQuery, PanelQuery):
    """The same of one symbol."""

    symbol: Symbol = Field(examples=["AAPL"])


AskedOfAll = Annotated[PanelQuery, Query()]
AskedOfSymbol = Annotated[SymbolPanelQuery, Query()]


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""
    _add_symbol_panels(app)

    @app.get(LIST, tags=["widgets"])
    def widgets(request: Request) -> dict[str, Any]:
        """List the panels in the form of OpenBB Workspace."""
        return widgets_of(_predictor(request).market)

    @app.get(f"{ROOT}/symbols", tags=["widgets"])
    def symbols(request: Request) -> list[dict[str, str]]:
        """List the symbols that a panel can be asked for, as the options of a field."""
        return [{"label": symbol, "value": symbol} for symbol in _predictor(request).symbols()]

    @app.get(f"{ROOT}/watchlist", tags=["widgets"])
    def watchlist(asked: AskedOfAll, request: Request) -> list[WidgetRow]:
        """Return last bar, forecast and record of the symbols that the key follows; of all where it follows none."""
        predictor, tables, at = _predictor(request), request.app.state.history, _instant(request, asked)
        horizon = bars_asked(predictor.market, asked.horizon_sessions, asked.horizon_minutes)
        own = watch_lists.read(predictor.logged.configured, request.state.caller.key_id).symbols
        listed = own or universe_at(tables.reader, predictor.market.name, at)
        return [_watched(row) for row in watch_list(tables, listed, horizon, at)]

    @app.get(f"{ROOT}/importance", tags=["widgets"])
    def importance(asked: AskedOfAll, request: Request) -> list[WidgetRow]:
        """Return what the features of a model are good for, as it was measured last."""
        horizon = bars_asked(_predictor(request).market, asked.horizon_sessions, asked.horizon_minutes)
        lake, at = request.app.state.latest.lake, _instant(request, asked)
        named = {} if asked.model is None else {"model": asked.model}
        found = newest_importance(lake, at, horizon=horizon, **named).features
        return [measured_feature(row).model_dump(mode="json", exclude={"features"}) for row in found]


def _add_symbol_panels(app: FastAPI) -> None:
    @app.get(f"{ROOT}/bars", tags=["widgets"])
    def bars(asked: AskedOfSymbol, request: Request) -> list[WidgetRow]:
        """Return bars of a symbol, the newest last."""
        one = HistoryQuestion(request.app, asked.symbol, asked)
        found = bars_of(one.tables, one.symbol, one.at, span=one.span(asked), page=asked.page)
        return [row.model_dump(mode="json") for row in found.bars]

    @app.get(f"{ROOT}/forecasts", tags=["widgets"])
    def forecasts(asked: AskedOfSymbol, request: Request) -> list[WidgetRow]:
        """Return forecasts of a symbol, the newest last."""
        one = HistoryQuestion(request.app, asked.symbol, asked)
        horizon, model, span = one.horizon(asked), one.model(asked), one.span(asked)
        found = forecasts_of(one.tables, one.symbol, horizon, one.at, model=model, span=span, page=asked.page)
        return [row.model_dump(mode="json") for row in found.forecasts]

    @app.get(f"{ROOT}/outcomes", tags=["widgets"])
    def outcomes(asked: AskedOfSymbol, request: Request) -> list[WidgetRow]:
        """Return matured forecasts of a symbol beside what happened, the newest last."""
        one = HistoryQuestion(request.app, asked.symbol, asked)
        horizon, model, span = one.horizon(asked), one.model(asked), one.span(asked)
        found = outcomes_of(one.tables, one.symbol, horizon, one.at, model=model, span=span, page=asked.page)
        return [row.model_dump(mode="json") for row in found.outcomes]

    @app.get(f"{ROOT}/calibration", tags=["widgets"])
    def calibration(asked: AskedOfSymbol, request: Request) -> list[WidgetRow]:
        """Return how often the bands of a symbol held, overall and by regime."""
        one = HistoryQuestion(request.app, asked.symbol, asked)
        found = calibration_of(one.tables, one.symbol, one.horizon(asked), one.at, model=one.model(asked))
        return [_group(record) for record in (found.overall, *found.regimes)]


def _group(record: api.GroupRecord) -> WidgetRow:
    return {
        "group": record.group,
        "outcomes": record.band.outcomes,
        "held": record.band.held,
        "held_low": record.band.low,
        "held_high": record.band.high,
        "band": record.band.sentence,
        "skill": record.skill.skill,
        "skill_low": record.skill.low,
        "skill_high": record.skill.high,
        "verdict": record.skill.sentence,
    }


def _watched(row: api.WatchRow) -> WidgetRow:
    return row.model_dump(mode="json", exclude={"band", "band_in_replay"}) | {"band": row.band.sentence}


def _instant(request: Request, asked: PanelQuery) -> "datetime":
    predictor = _predictor(request)
    return instant_as_of(predictor.market, asked.as_of, predictor.clock.now())


def _predictor(request: Request) -> "Predictor":
    predictor: Predictor = request.app.state.predictor
    return predictor
