"""Look-up routes: stored forecasts, features and their declarations, the regime, the strategy in force."""

import math
import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response

from feature_repo.catalog import GROUPS, MODEL_FEATURES, TECHNICAL
from feature_repo.online import REGIME, STRATEGY, view_named
from feature_repo.targets import FORECAST_V2
from lake.errors import NotReadyError, UnknownNameError
from serving import api
from serving.api import Horizon, Minutes, Symbol
from serving.forecast_log import in_lake
from serving.forecasts import VISIBLE
from serving.predict import bars_asked, not_offered, require_known
from serving.strategies import strategy_named
from serving.web.asked_names import AskedNames, told
from serving.web.regime_opinion import opinion_of
from serving.web.routes.forecasts import JSON, PREFIX

if TYPE_CHECKING:
    from feature_repo.online import OnlineReader, ViewRow
    from feature_repo.spec import Feature
    from lake.names import AskedSymbol
    from serving.forecast_log.latest import LatestForecasts
    from serving.predict import Predictor

ANSWERED_BY = "x-answered-by"
"""Header that says where a stored forecast was found: ``cache``, ``log`` or ``table``."""
IDENTIFIER = re.compile(r"[0-9a-f][0-9a-f-]{30,34}[0-9a-f]")
"""What every id looks like; for anything else neither log nor lake is asked."""

FOUND: dict[int | str, dict[str, Any]] = {
    200: {"headers": {ANSWERED_BY: {"description": "where it was", "schema": {"enum": ["cache", "log", "table"]}}}}
}

PathSymbol = Annotated[Symbol, Path(description="instrument, as in /symbols", examples=["AAPL"])]


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""
    _add_forecasts(app)
    _add_features(app)
    _add_decisions(app)


def _add_forecasts(app: FastAPI) -> None:
    @app.get(
        f"{PREFIX}/predictions/latest/{{symbol}}",
        response_model=api.PredictAnswer | api.StoredForecast,
        responses=FOUND,
        tags=["forecasts"],
    )
    def latest(
        symbol: PathSymbol,
        request: Request,
        horizon_sessions: Annotated[Horizon | None, Query(examples=[1])] = None,
        horizon_minutes: Annotated[Minutes | None, Query()] = None,
    ) -> Response:
        """Return the newest stored forecast, asked for or scheduled; the header X-Answered-By says where it was."""
        known: LatestForecasts = request.app.state.latest
        asked = asked_symbol(request, symbol)
        predictor: Predictor = request.app.state.predictor
        market = predictor.market
        bars = bars_asked(market, horizon_sessions, horizon_minutes)
        found = known.newest(asked.symbol, bars)
        if found is None:
            raise why_none(predictor, asked.symbol, bars)
        return Response(told(found.answer, asked), media_type=JSON, headers={ANSWERED_BY: found.source})

    @app.get(
        f"{PREFIX}/predictions/{{prediction_id}}",
        response_model=api.PredictAnswer | api.StoredForecast,
        responses=FOUND,
        tags=["forecasts"],
    )
    def look_up(prediction_id: str, request: Request) -> Response:
        """Return an earlier answer, byte for byte as it was sent; or what the table holds of it, if that is all."""
        require_id(prediction_id)
        found = request.app.state.predictor.logged.get(prediction_id)
        if found is not None and found.kind in VISIBLE:
            return Response(found.answer, media_type=JSON, headers={ANSWERED_BY: "log"})
        stored = None if found is not None else in_lake(request.app.state.latest.lake, prediction_id)
        if stored is None:
            raise UnknownNameError("prediction", prediction_id, [])
        return Response(stored.model_dump_json(), media_type=JSON, headers={ANSWERED_BY: "table"})


def _add_features(app: FastAPI) -> None:
    @app.get(f"{PREFIX}/features/schema", tags=["features"], response_model=api.FeatureSchemaAnswer)
    async def features_schema() -> Response:
        """List every feature with its unit, formula and look-back, by table, and what the models see of them."""
        return Response(_schema(), media_type=JSON)

    @app.get(f"{PREFIX}/features/latest/{{symbol}}", tags=["features"])
    def latest_features(symbol: PathSymbol, request: Request) -> api.FeaturesAnswer:
        """Return the newest features of a symbol, as a model would be given them; null is not known."""
        asked = asked_symbol(request, symbol)
        row = _row(request, TECHNICAL.name, asked, f"{asked.symbol} has no features yet: they begin with its bars.")
        values = {name: value if _is_number(value) else None for name, value in row.values.items()}
        return api.FeaturesAnswer(**_times(asked, row), table=view_named(TECHNICAL.name).table.name, features=values)


def _add_decisions(app: FastAPI) -> None:
    @app.get(f"{PREFIX}/regime/{{symbol}}", tags=["decisions"])
    def regime(symbol: PathSymbol, request: Request) -> api.RegimeAnswer:
        """Return the regime of the market that a symbol is traded in."""
        asked = asked_symbol(request, symbol)
        require_known([asked.symbol], list(request.app.state.predictor.symbols()))
        online = _online(request)
        row = online.row(REGIME.name, online.market.index)
        if row is None:
            raise NotReadyError("The market's regime is not known yet: it needs 200 sessions of the index.")
        names = ("regime", "volatility_state", "trend_state", "volatility", "trend_gap")
        values: dict[str, Any] = {name: row.values[name] for name in names}
        opinion = opinion_of(row.values)
        return api.RegimeAnswer(**_times(asked, row), market=online.market.index, **values, hidden_markov=opinion)

    @app.get(f"{PREFIX}/strategy/{{symbol}}", tags=["decisions"])
    def strategy(symbol: PathSymbol, request: Request) -> api.StrategyAnswer:
        """Return the strategy in force for a symbol: the weights of the pool that the paper portfolio holds."""
        asked = asked_symbol(request, symbol)
        row = _row(request, STRATEGY.name, asked, f"No strategy has been selected for {asked.symbol} yet.")
        decision = {name: row.values[name] for name in ("regime", "selected_strategy", "confidence")}
        pool = [
            api.StrategyPart(name=name, weight=weight, model=declared.model, meaning=declared.meaning)
            for name, weight in zip(row.values["strategies"], row.values["weights"].tolist(), strict=True)
            for declared in [strategy_named(name)]
        ]
        return api.StrategyAnswer(**_times(asked, row), **decision, strategies=pool)


def is_identifier(text: str) -> bool:
    """Whether something stored can have an id."""
    return IDENTIFIER.fullmatch(text) is not None


def require_id(prediction_id: str) -> str:
    """Return an id that a forecast may have; for another one neither log nor lake is asked.

    Raises
    ------
    UnknownNameError
        If no forecast can have it.
    """
    if not is_identifier(prediction_id):
        raise UnknownNameError("prediction", prediction_id[:64], [])
    return prediction_id


def asked_symbol(request: Request, name: str) -> "AskedSymbol":
    """Return the symbol of a name in an address."""
    names: AskedNames = request.app.state.asked_names
    return names.find([name])[0]


def why_none(predictor: "Predictor", symbol: str, horizon: int) -> Exception:
    """Return why there is no stored forecast of a symbol over a horizon: an unknown name, or none was made yet."""
    require_known([symbol], list(predictor.symbols()))
    horizons = predictor.champions.current().horizons
    if horizon not in horizons:
        return not_offered(predictor.market, horizon, horizons)
    return NotReadyError(
        f"No forecast of {symbol} over {predictor.market.horizon_of(horizon)} is stored yet. One is stored with each "
        f"answer of {PREFIX}/predict, and for every symbol after each session."
    )


def _row(request: Request, view: str, asked: "AskedSymbol", why_none: str) -> "ViewRow":
    """Row of a symbol; without one the symbol does not exist, or is not ready."""
    row = _online(request).row(view, asked.symbol)
    if row is None:
        require_known([asked.symbol], list(request.app.state.predictor.symbols()))
        raise NotReadyError(why_none)
    return row


def _online(request: Request) -> "OnlineReader":
    reader: OnlineReader = request.app.state.predictor.online
    return reader


def _times(asked: "AskedSymbol", row: "ViewRow") -> dict[str, Any]:
    return {
        "symbol": asked.symbol,
        "asked": api.AskedName.of(asked),
        "as_of": row.as_of,
        "known_time": row.known_time,
        "is_expired": row.is_expired,
        "is_degraded": row.served.is_degraded,
        "degraded_because": row.served.reason,
    }


def _is_number(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


@cache
def _schema() -> str:
    """Declarations of every feature, as JSON."""
    tables = [
        api.FeatureTable(
            table=group.table.name,
            meaning=group.meaning,
            is_online=group is TECHNICAL,
            features=[_declaration(feature, is_seen=group is TECHNICAL) for feature in group],
        )
        for group in GROUPS
    ]
    sessions, _ = FORECAST_V2.shape
    return api.FeatureSchemaAnswer(
        window=FORECAST_V2.name, window_sessions=sessions, window_features=list(FORECAST_V2.features), tables=tables
    ).model_dump_json()


def _declaration(feature: "Feature", *, is_seen: bool) -> api.FeatureDeclaration:
    return api.FeatureDeclaration(
        name=feature.name,
        unit=feature.unit,
        formula=feature.formula,
        meaning=feature.meaning,
        lookback_sessions=feature.lookback,
        warm_up_sessions=feature.warm_up,
        null_rule=feature.null_rule,
        minimum=feature.minimum,
        maximum=feature.maximum,
        is_model_input=is_seen and feature.name in MODEL_FEATURES,
    )
