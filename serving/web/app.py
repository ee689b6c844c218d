"""The web application over a `Predictor`: its routes and middleware."""

from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from lake.settings import Settings
from serving.access import RULES, Policy
from serving.access.checks import Access
from serving.explain import Explainer
from serving.explain.narrative import ExplanationJobs
from serving.explain.worker import LocalExplanations
from serving.forecast_log.latest import LatestForecasts
from serving.history import KnownTables
from serving.predict import Batcher
from serving.web.asked_names import AskedNames
from serving.web.declared import require_rules
from serving.web.explaining import deep_part_of, drivers_of
from serving.web.http import arrival, middleware, openapi, problems
from serving.web.http.authentication import AccessControl
from serving.web.http.hosts import HostCheck, Hosts
from serving.web.http.mounting import Mounts
from serving.web.http.shedding import LoadShedding
from serving.web.routes import (
    administration,
    alerts,
    explanation_jobs,
    explanations,
    forecasts,
    front_page,
    history,
    importance,
    ingest,
    lookups,
    operator_lookups,
    operators,
    portfolios,
    receipts,
    recommendations,
    status,
    streams,
    tokens,
    watch_list,
    widgets,
)
from serving.web.routes import problems as problem_pages
from serving.web.streaming import Hub

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi.telemetry import TelemetryConfig
    from starlette.types import ASGIApp

    from serving.explain.worker import Explanations
    from serving.monitoring import Tracing
    from serving.predict import Predictor
    from serving.web.declared import RouteModule

NO_TELEMETRY: "TelemetryConfig" = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Of the framework, which asks for it at each request: spans and numbers are those of `serving.monitoring`."""
LARGE_QUESTIONS = 2
"""Large batches computed at a time, beside the small questions."""
ROUTES = (
    front_page,
    forecasts,
    explanations,
    explanation_jobs,
    recommendations,
    importance,
    lookups,
    history,
    portfolios,
    watch_list,
    operators,
    operator_lookups,
    administration,
    alerts,
    ingest,
    receipts,
    status,
    streams,
    tokens,
    problem_pages,
)


def build_app(
    predictor: "Predictor | None" = None,
    origins: "Mapping[str, Any] | None" = None,
    configured: "Settings | None" = None,
    tracing: "Tracing | None" = None,
    added: "Sequence[RouteModule]" = (),
    mounted: "Mapping[str, ASGIApp] | None" = None,
) -> FastAPI:
    """Return the application; without a predictor, the caller runs `put_in_service` before start.

    Parameters
    ----------
    origins
        Which web pages may ask, see `serving.access.exposure.origins`; none by default. Where there are some, there
        are panels for them too, see `serving.web.routes.widgets`.
    configured
        Say which requests are logged; the usual ones by default.
    tracing
        Where spans go; nowhere by default.
    added
        Modules of routes beside the packaged ones.
    mounted
        Applications with an access control of their own, by the path that each is served below; none by default.

    Raises
    ------
    ConfigError
        If a route has no rule that says who may ask.
    """
    added = (*added, widgets) if origins else added
    policy = Policy((*RULES, *(rule for module in added for rule in module.RULES)))
    app = FastAPIOffline(
        title="quantlake",
        description="Forecasts of daily returns, each with the data and the models that made it.",
        version="1",
        telemetry=NO_TELEMETRY,
    )
    app.state.large_questions = CapacityLimiter(LARGE_QUESTIONS)
    problems.install(app)
    openapi.install(app, policy)
    for add_routes in (*(module.add_routes for module in ROUTES), *(module.add_routes for module in added)):
        add_routes(app)
    require_rules(app, policy)
    checked = configured or Settings()
    inner = Mounts(_front(app, policy, origins or {}, checked, tracing), mounted or {})
    app.middleware_stack = HostCheck(inner, Hosts.of(checked), checked.access_log, checked.slow_ms)
    if predictor is not None:
        put_in_service(app, predictor)
    return app


def _front(
    app: FastAPI, policy: Policy, origins: "Mapping[str, Any]", configured: "Settings", tracing: "Tracing | None"
) -> "ASGIApp":
    """Middleware of every request to a route, outermost first, in front of the framework's own layers.

    They take longer than all of ours together, and a well-formed question needs none of them.
    """
    framework = app.build_middleware_stack()
    quick = middleware.AnswerHead(forecasts.Quick(app, framework))
    behind: ASGIApp = AccessControl(middleware.LimitBody(quick), policy)
    behind = CORSMiddleware(behind, **origins) if origins else behind
    measured = arrival.RequestMetrics(behind, configured.access_log, configured.slow_ms)
    return LoadShedding(app, arrival.CorrelationIds(measured if tracing is None else tracing.wrap(measured)))


def put_in_service(
    app: FastAPI,
    predictor: "Predictor",
    batcher: Batcher | None = None,
    explanations: "Explanations | None" = None,
) -> None:
    """Attach a predictor to an application.

    Parameters
    ----------
    batcher
        Forecasts in batches; by default one with the usual bounds.
    explanations
        Answer questions about forecasts; by default they are computed in a thread of this process.
    """
    app.state.predictor = predictor
    app.state.asked_names = AskedNames(predictor)
    app.state.access = Access(predictor.logged.configured)
    app.state.batcher = batcher or Batcher(predictor)
    app.state.hub = Hub(predictor.logged.configured)
    app.state.latest = LatestForecasts(predictor.logged.configured, predictor.logged)
    app.state.history = KnownTables(app.state.latest.lake)
    app.state.explanations = explanations or LocalExplanations(
        Explainer(app.state.latest.lake, predictor.champions), predictor.market
    )
    app.state.explanation_jobs = ExplanationJobs(
        predictor.logged.configured,
        app.state.latest.lake,
        partial(drivers_of, app.state),
        partial(deep_part_of, app.state),
        tables=app.state.history,
        logged=predictor.logged,
    )
