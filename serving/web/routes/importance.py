"""Importance route: what the features of a model are good for, as it was measured last."""

import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import AwareDatetime

from feature_repo.catalog import family_of
from lake.clock import instant_of
from serving.api import Horizon, Minutes
from serving.api.importance import ImportanceAnswer, MeasuredFeature
from serving.forecasts import BLEND
from serving.importance import ALL_REGIMES, ImportanceFigures, newest_importance
from serving.predict import bars_asked
from serving.web.routes.forecasts import PREFIX

if TYPE_CHECKING:
    from datetime import datetime

    from lake.market import Market
    from serving.predict import Predictor

Name = Annotated[str, Query(max_length=64)]


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.get(f"{PREFIX}/explain/features", tags=["explanations"])
    def explain_features(
        request: Request,
        model: Name = BLEND,
        horizon_sessions: Annotated[Horizon | None, Query(examples=[1])] = None,
        horizon_minutes: Annotated[Minutes | None, Query()] = None,
        regime: Name = ALL_REGIMES,
        as_of: Annotated[
            AwareDatetime | date | None, Query(description="a day, or an instant with its zone; by default now")
        ] = None,
    ) -> ImportanceAnswer:
        """Return by how much the loss of a model rises when a feature is exchanged among the symbols of a session."""
        predictor: Predictor = request.app.state.predictor
        market, now = predictor.market, predictor.clock.now()
        at = now if as_of is None else min(instant_of(as_of), now)
        bars = bars_asked(market, horizon_sessions, horizon_minutes)
        figures = newest_importance(request.app.state.latest.lake, at, model=model, horizon=bars, regime=regime)
        return _answer(figures, at, market)


def _answer(figures: ImportanceFigures, at: "datetime", market: "Market") -> ImportanceAnswer:
    first = figures.rows[0]
    ahead = market.horizon_of(first["horizon_sessions"])
    names = ("model", "regime", "first_session", "sessions", "forecasts", "repeats", "loss", "model_digest")
    horizon: dict[str, Any] = {ahead.member: ahead.n}
    return ImportanceAnswer(
        **{name: first[name] for name in names},
        **horizon,
        as_of=at,
        measured_at=first["known_time"],
        last_session=first["event_time"],
        table_versions=json.loads(first["table_versions"]),
        features=[measured_feature(row) for row in figures.features],
        clusters=[measured_feature(row) for row in figures.clusters],
    )


def measured_feature(row: dict[str, Any]) -> MeasuredFeature:
    """Return one row of the measure with the group of its feature."""
    kept = {name: row[name] for name in MeasuredFeature.model_fields if name in row}
    return MeasuredFeature(group=family_of(row["features"][0]), **kept)
