"""The pages of the models: all of them beside the baselines, and each by itself."""

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from feature_repo.targets import FORECAST_V2
from lake.errors import NotReadyError, QuantlakeError, UnknownNameError
from lake.ledger import families_of, family_of
from serving import history
from serving.pages.routes.frame import Visit
from serving.pages.views import models as views
from serving.pages.views.panels import panel_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def show_all(request: "Request") -> "Response":
    """Show the walk-forward score of each model over one horizon, and how its forecasts did since."""
    visit = Visit.of(request)
    tables, at = visit.tables, visit.as_of.instant
    scores = views.model_lines(history.models_of(tables, at), visit.horizon, visit.horizons[visit.horizon])
    records = history.records_by(tables, "model_name", visit.horizon, at)
    return visit.page("models.html", "Models", scores=scores, lines=views.record_lines(records))


def show(request: "Request") -> "Response":
    """Show one model: its score over each horizon, its record by regime, size and symbol, and as it is served."""
    visit = Visit.of(request)
    name = request.path_params["name"]
    tables, at, horizon = visit.tables, visit.as_of.instant, visit.horizon
    _require_known(visit, name)
    own = [model for model in history.models_of(tables, at) if model.model == name]
    scores = [line for bars, words in visit.horizons.items() for line in views.model_lines(own, bars, words)]
    by = partial(history.records_by, tables, horizon=horizon, at=at, model=name)
    return visit.page(
        "model.html",
        name,
        name=name,
        scores=scores,
        regimes=views.record_lines(by("regime")),
        sizes=views.lines_in_order(history.records_by_size(tables, horizon, at, model=name)),
        symbols=views.record_lines(by("symbol")),
        served=panel_of(partial(_served, visit, name)),
        trials=panel_of(partial(_trials, visit, name)),
    )


def _require_known(visit: Visit, name: str) -> None:
    """Raise where there is no such model: never scored until now, and not served now."""
    if name in visit.models:
        return
    known = set(visit.models_at(visit.dashboard.now()))
    with suppress(QuantlakeError):  # Without the endpoint only what the tables hold is known.
        known |= {model.name for model in visit.client.status().models}
    if name not in known:
        raise UnknownNameError("model", name[:40], sorted(known))


def _trials(visit: Visit, name: str) -> str:
    family = family_of(name, FORECAST_V2.name, visit.horizons[visit.horizon])
    found = families_of(visit.tables.reader, visit.as_of.instant, [family])
    return views.trials_line(found, family)


def _served(visit: Visit, name: str) -> views.ServedModel:
    found = views.served_model(visit.client.status(), name)
    if found is None:
        raise NotReadyError(f"The endpoint serves no model {name} now; `quantlake models` shows which it does.")
    return found
